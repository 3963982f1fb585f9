using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Delta;

/// <summary>Linear attention by the gated delta rule, by hand.</summary>
/// <remarks>
/// <code>
/// q k v = silu(conv(x Wqkv)), z = x Wz, b = x Wb, a = x Wa;  o = rule(q, k, v, b, a);  y = (norm(o) silu(z)) Wo
/// </code>
/// The convolution's and the rule's results are made again on the way back.
/// </remarks>
internal sealed class FastDelta : IFastMixer
{
    private readonly GatedDelta _config;
    private readonly IKernels _kernels;
    private readonly FastNorm _norms;
    private readonly FastOutput _output;
    private readonly DeltaProjections _projections;
    private readonly NormModule _norm;
    private readonly TextConvolution _convolution;
    private readonly torch.Tensor _decay, _shift;
    private readonly GateShape _gate;
    private readonly int _layer;

    public FastDelta(GatedDelta config, DecoderLayer layer, IKernels kernels, FastLinear linear, FastNorm norms)
    {
        (_config, _kernels, _norms, _layer) = (config, kernels, norms, layer.Index);
        var (modules, values) = (layer.Modules, config.ValueHeads * config.ValueSize);
        _projections = new DeltaProjections(config, modules, kernels, linear);
        _output = new FastOutput(modules.Linear($"{config.Path}.out_proj"), kernels, linear);
        _norm = modules.Norm($"{config.Path}.norm");
        _convolution = new TextConvolution(layer.Index, modules.Parameter($"{config.Path}.conv1d.weight"), null, config.Channels, config.Taps, kernels);
        (_decay, _shift) = (modules.Parameter($"{config.Path}.A_log"), modules.Parameter($"{config.Path}.dt_bias"));
        _gate = new GateShape(Trainer.Numerics.Elementwise.Gate.Silu, values, values);
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        _projections.Forward(pass, state, x);
        var operands = Operands(pass, state);
        if (pass.Past is { } past) Continue(pass, past, operands, state.Own(BufferId.DeltaOutput));
        else _kernels.DeltaRule(pass.Memory, operands, pass.Batch.Starts, default, state.Own(BufferId.DeltaOutput));
        _output.Forward(pass, state, Gated(pass, state), rows, subset, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        Place gradient = pass.Memory.Floats(BufferId.MixedGradient), inner = pass.Memory.Floats(BufferId.DeltaInner),
            mixed = pass.Memory.Floats(BufferId.MixerInputGradient);
        long tokens = pass.Batch.Tokens;
        _output.Backward(pass, state, Gated(pass, state), rows, subset, dy, gradient);
        // The gate and the normed output become their own gradients.
        _kernels.GateBackward(_gate, state.Own(BufferId.DeltaGate), inner, gradient, tokens);
        _norms.Backward(_norm, state.Own(BufferId.DeltaOutput), pass.Memory.Floats(BufferId.DeltaInverse), inner, default, gradient, _config.ValueSize,
            tokens * _config.ValueHeads);
        var operands = Operands(pass, state);
        _kernels.DeltaRuleBackward(pass.Memory, operands, pass.Batch.Starts, gradient, mixed, pass.Memory.Floats(BufferId.DeltaStrengthGradient),
            pass.Memory.Floats(BufferId.DeltaStepGradient));
        _kernels.SiluBackward(pass.Memory.Floats(BufferId.Convolved), mixed, tokens * _config.Channels, operands.Mixed);
        _convolution.Backward(pass, operands.Mixed, mixed);
        _projections.Backward(pass, state, x, mixed, dx);
    }

    // Each text goes on from its own state.
    private void Continue(FastPass pass, KeyValues[] past, DeltaOperands all, Place output)
    {
        var starts = pass.Batch.Starts;
        for (var s = 0; s < past.Length; s++)
        {
            long start = starts[s], heads = _config.ValueHeads;
            var own = all with { Mixed = all.Mixed + start * _config.Channels, Strength = all.Strength + start * heads, Step = all.Step + start * heads };
            var held = past[s].States.Of(_layer, "delta", heads * _config.KeySize * _config.ValueSize);
            _kernels.DeltaRule(pass.Memory, own, [0, starts[s + 1] - starts[s]], held, output + start * heads * _config.ValueSize);
        }
    }

    // Queries, keys and values lie in the scratch, what the activation read beside it.
    private DeltaOperands Operands(FastPass pass, LayerState state)
    {
        Place convolved = pass.Memory.Floats(BufferId.Convolved), mixed = pass.Memory.Floats(BufferId.MixerScratch);
        _convolution.Forward(pass, state.Own(BufferId.MixerInput), convolved);
        _kernels.Silu(convolved, pass.Batch.Tokens * (long)_config.Channels, mixed);
        return new DeltaOperands(_config, mixed, state.Own(BufferId.DeltaStrength), state.Own(BufferId.DeltaStep), _kernels.Of(_decay), _kernels.Of(_shift));
    }

    // norm(o) silu(z); the norm itself lies in a room of its own.
    private Place Gated(FastPass pass, LayerState state)
    {
        Place inner = pass.Memory.Floats(BufferId.DeltaInner), mixed = pass.Memory.Floats(BufferId.Mixed);
        _norms.Forward(_norm, state.Own(BufferId.DeltaOutput), inner, pass.Memory.Floats(BufferId.DeltaInverse), _config.ValueSize,
            pass.Batch.Tokens * (long)_config.ValueHeads);
        _kernels.Gate(_gate, state.Own(BufferId.DeltaGate), inner, mixed, pass.Batch.Tokens);
        return mixed;
    }
}
