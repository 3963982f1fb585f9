using Trainer.Engine.Generation;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Mamba;

/// <summary>A state-space mixer: projection, a short convolution, the scan, a gate and perhaps a norm, the output.</summary>
internal sealed class Mamba2Mixer : ITokenMixer
{
    private const string State = "mamba";
    private readonly Mamba2 _config;
    private readonly LayerModules _modules;
    private readonly int _layer;
    private readonly LinearModule _in, _out;
    private readonly NormModule? _norm;
    private readonly Tensor _convolution, _decay, _direct, _shift;
    private readonly Tensor? _bias;

    public Mamba2Mixer(Mamba2 config, LayerModules modules, int layer)
    {
        (_config, _modules, _layer) = (config, modules, layer);
        (_in, _out) = (modules.Linear($"{config.Path}.in_proj"), modules.Linear($"{config.Path}.out_proj"));
        if (config.ResultNorm is not null) _norm = modules.Norm($"{config.Path}.norm");
        _convolution = modules.Parameter($"{config.Path}.conv1d.weight");
        if (config.ConvolutionBias) _bias = modules.Parameter($"{config.Path}.conv1d.bias");
        (_decay, _direct, _shift) = (modules.Parameter($"{config.Path}.A_log"), modules.Parameter($"{config.Path}.D"),
            modules.Parameter($"{config.Path}.dt_bias"));
    }

    public Tensor Mix(ILayerMath pass, Tensor x, BatchContext context)
    {
        if (_config.InputMultiplier != 1) x = x * _config.InputMultiplier;
        var all = pass.Linear(_in, x, context.Key);
        var (inner, states) = (_config.Inner, _config.Groups * _config.StateSize);
        long at = 0;
        Tensor Part(int index, long width)
        {
            var part = all.narrow(1, at, width);
            at += width;
            return _config.PartMultipliers is { } multipliers ? part * multipliers[index] : part;
        }
        var gate = Part(0, inner);
        var mixed = cat([Part(1, inner), Part(2, states), Part(3, states)], 1);
        var step = Mamba2Scan.Steps(_config, Part(4, _config.Heads) + _shift);
        var result = Segments.Apply(context, [mixed, step], (inputs, cache) => Scan(inputs[0], inputs[1], cache));
        return pass.Linear(_out, pass.Told($"{_modules.Path}.{_config.Path}", Gated(pass, result, nn.functional.silu(gate))), context.Key);
    }

    // mixed [count, length, channels], step [count, length, heads].
    private Tensor Scan(Tensor mixed, Tensor step, KvCache? cache)
    {
        var turned = nn.functional.silu(CausalConvolution.Apply(mixed, _convolution, _bias, cache, _layer));
        var (output, state) = Mamba2Scan.Of(_config, turned, step, _decay, _direct, cache?.State(_layer, State));
        cache?.Keep(_layer, State, state);
        return output;
    }

    private Tensor Gated(ILayerMath pass, Tensor result, Tensor gate)
    {
        if (_norm is null) return result * gate;
        return _config.NormsBeforeGate ? Normed(pass, result) * gate : Normed(pass, result * gate);
    }

    // Each group by itself, the weight over all of them.
    private Tensor Normed(ILayerMath pass, Tensor x)
    {
        if (_config.NormGroups == 1) return pass.Norm(_norm, x);
        var groups = Norms.RootMeanSquare(x.view(x.shape[0], _config.NormGroups, -1), _config.ResultNorm!.Epsilon).view(x.shape);
        return groups * pass.Weight(_norm!);
    }
}
