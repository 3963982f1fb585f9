using Trainer.Engine.Generation;
using Trainer.Engine.Reference;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Delta;

/// <summary>Linear attention by the gated delta rule: projections, a short convolution, the rule, a norm with a gate, the output.</summary>
internal sealed class GatedDeltaMixer : ITokenMixer
{
    private const string State = "delta";
    private readonly GatedDelta _config;
    private readonly LayerModules _modules;
    private readonly int _layer;
    private readonly LinearModule _out;
    private readonly NormModule _norm;
    private readonly Tensor _convolution, _decay, _shift;

    public GatedDeltaMixer(GatedDelta config, LayerModules modules, int layer)
    {
        (_config, _modules, _layer) = (config, modules, layer);
        _out = modules.Linear($"{config.Path}.out_proj");
        _norm = modules.Norm($"{config.Path}.norm");
        _convolution = modules.Parameter($"{config.Path}.conv1d.weight");
        _decay = modules.Parameter($"{config.Path}.A_log");
        _shift = modules.Parameter($"{config.Path}.dt_bias");
    }

    public Tensor Mix(ILayerMath pass, Tensor x, BatchContext context)
    {
        var (mixed, gate, strength, step) = _config.IsPacked ? Packed(pass, x, context) : Separate(pass, x, context);
        var decay = _decay.exp().neg() * nn.functional.softplus(step + _shift);
        var result = Segments.Apply(context, [mixed, strength.sigmoid(), decay], (inputs, cache) => Rule(inputs[0], inputs[1], inputs[2], cache));
        var heads = result.view(x.shape[0], _config.ValueHeads, _config.ValueSize);
        var gated = pass.Norm(_norm, heads) * nn.functional.silu(gate.view(heads.shape));
        return pass.Linear(_out, pass.Told($"{_modules.Path}.{_config.Path}", gated.reshape(x.shape[0], -1)), context.Key);
    }

    // mixed [count, length, channels], strength and decay [count, length, value heads].
    private Tensor Rule(Tensor mixed, Tensor strength, Tensor decay, KvCache? cache)
    {
        var turned = nn.functional.silu(CausalConvolution.Apply(mixed, _convolution, null, cache, _layer));
        var (output, state) = DeltaRule.OfHeads(_config, turned, strength, decay, cache?.State(_layer, State));
        cache?.Keep(_layer, State, state);
        return output;
    }

    private (Tensor Mixed, Tensor Gate, Tensor Strength, Tensor Step) Separate(ILayerMath pass, Tensor x, BatchContext context)
    {
        Tensor Of(string name) => pass.Linear(_modules.Linear($"{_config.Path}.{name}"), x, context.Key);
        return (Of("in_proj_qkv"), Of("in_proj_z"), Of("in_proj_b"), Of("in_proj_a"));
    }

    // Rows lie key head by key head: its query, its key, its value heads' values, their gates; and b and a likewise.
    private (Tensor Mixed, Tensor Gate, Tensor Strength, Tensor Step) Packed(ILayerMath pass, Tensor x, BatchContext context)
    {
        long tokens = x.shape[0], heads = _config.KeyHeads, size = _config.KeySize, group = _config.ValueHeads / _config.KeyHeads,
            wide = group * _config.ValueSize;
        var all = pass.Linear(_modules.Linear($"{_config.Path}.in_proj_qkvz"), x, context.Key).view(tokens, heads, 2 * size + 2 * wide);
        var both = pass.Linear(_modules.Linear($"{_config.Path}.in_proj_ba"), x, context.Key).view(tokens, heads, 2 * group);
        Tensor Part(Tensor from, long start, long count) => from.narrow(2, start, count).reshape(tokens, heads * count);
        var mixed = cat([Part(all, 0, size), Part(all, size, size), Part(all, 2 * size, wide)], 1);
        return (mixed, Part(all, 2 * size + wide, wide), Part(both, 0, group), Part(both, group, group));
    }
}
