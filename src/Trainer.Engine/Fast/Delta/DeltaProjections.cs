using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Delta;

/// <summary>The first products of the gated delta rule: queries, keys and values side by side, gates, strengths and steps; four matrices, or two whose rows lie
/// key head by key head.</summary>
internal sealed class DeltaProjections
{
    private readonly GatedDelta _config;
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly (LinearModule Linear, BufferId Kept, BufferId? Gradient)[] _separate = [];
    private readonly LinearModule? _packed, _packedSteps;
    private readonly long _values;

    public DeltaProjections(GatedDelta config, LayerModules modules, IKernels kernels, FastLinear linear)
    {
        (_config, _kernels, _linear, _values) = (config, kernels, linear, (long)config.ValueHeads * config.ValueSize);
        LinearModule Find(string name) => modules.Linear($"{config.Path}.{name}");
        if (config.IsPacked) (_packed, _packedSteps) = (Find("in_proj_qkvz"), Find("in_proj_ba"));
        else
            _separate =
            [
                (Find("in_proj_qkv"), BufferId.MixerInput, BufferId.MixerInputGradient), (Find("in_proj_z"), BufferId.DeltaGate, null),
                (Find("in_proj_b"), BufferId.DeltaStrength, BufferId.DeltaStrengthGradient),
                (Find("in_proj_a"), BufferId.DeltaStep, BufferId.DeltaStepGradient),
            ];
    }

    public void Forward(FastPass pass, LayerState state, Place x)
    {
        long tokens = pass.Batch.Tokens;
        foreach (var (linear, kept, _) in _separate) _linear.Forward(pass, linear, x, tokens, state.Own(kept), linear.OutFeatures, state.Of(linear));
        if (_packed is null) return;
        var (all, steps) = Rooms(pass);
        _linear.Forward(pass, _packed, x, tokens, all, _packed.OutFeatures, state.Of(_packed));
        _linear.Forward(pass, _packedSteps!, x, tokens, steps, _packedSteps!.OutFeatures, state.Of(_packedSteps));
        foreach (var (packed, packedStride, apart, stride, width) in Parts(pass, state.Own(BufferId.MixerInput), state.Own(BufferId.DeltaGate),
            state.Own(BufferId.DeltaStrength), state.Own(BufferId.DeltaStep)))
            _kernels.Copy(packed, packedStride, apart, stride, width, tokens);
    }

    /// <summary>The gate's gradient lies in its place, those of strengths and steps in rooms of their own.</summary>
    public void Backward(FastPass pass, LayerState state, Place x, Place mixed, Place dx)
    {
        long tokens = pass.Batch.Tokens;
        foreach (var (linear, kept, gradient) in _separate)
        {
            var upper = gradient is { } own ? pass.Memory.Floats(own) : state.Own(kept);
            _linear.Backward(pass, linear, x, tokens, upper, linear.OutFeatures, dx, kept != BufferId.MixerInput, state.Of(linear));
        }
        if (_packed is null) return;
        var (all, steps) = Rooms(pass);
        foreach (var (packed, packedStride, apart, stride, width) in Parts(pass, mixed, state.Own(BufferId.DeltaGate),
            pass.Memory.Floats(BufferId.DeltaStrengthGradient), pass.Memory.Floats(BufferId.DeltaStepGradient)))
            _kernels.Copy(apart, stride, packed, packedStride, width, tokens);
        _linear.Backward(pass, _packed, x, tokens, all, _packed.OutFeatures, dx, false, state.Of(_packed));
        _linear.Backward(pass, _packedSteps!, x, tokens, steps, _packedSteps!.OutFeatures, dx, true, state.Of(_packedSteps));
    }

    private (Place All, Place Steps) Rooms(FastPass pass)
    {
        var all = pass.Memory.Floats(BufferId.DeltaPacked);
        return (all, all + pass.Batch.Tokens * (_config.Channels + _values));
    }

    // A key head's rows: its query, its key, its value heads' values, their gates; and b and a likewise.
    private IEnumerable<(Place Packed, long PackedStride, Place Apart, long Stride, long Width)> Parts(FastPass pass, Place mixed, Place gate, Place strength,
        Place step)
    {
        var (all, steps) = Rooms(pass);
        long size = _config.KeySize, keys = _config.KeyHeads * size, group = _config.ValueHeads / _config.KeyHeads, wide = group * _config.ValueSize,
            row = 2 * size + 2 * wide;
        for (long head = 0; head < _config.KeyHeads; head++)
        {
            var (from, both) = (all + head * row, steps + head * 2 * group);
            long stride = row * _config.KeyHeads, stepStride = 2 * _config.ValueHeads;
            yield return (from, stride, mixed + head * size, _config.Channels, size);
            yield return (from + size, stride, mixed + keys + head * size, _config.Channels, size);
            yield return (from + 2 * size, stride, mixed + 2 * keys + head * wide, _config.Channels, wide);
            yield return (from + 2 * size + wide, stride, gate + head * wide, _values, wide);
            yield return (both, stepStride, strength + head * group, _config.ValueHeads, group);
            yield return (both + group, stepStride, step + head * group, _config.ValueHeads, group);
        }
    }
}
