using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Mamba;

/// <summary>A state-space mixer by hand.</summary>
/// <remarks>
/// <code>
/// z m t = x Win;  v B C = silu(conv(m));  o = scan(v, B, C, t);  y = norm(silu(z) o) Wout        without the norm where the family has none
/// </code>
/// The first product is kept; the convolution's result, the gate's and the norm's are made again on the way back.
/// </remarks>
internal sealed class FastMamba : IFastMixer
{
    private readonly Mamba2 _config;
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly FastNorm _norms;
    private readonly FastOutput _output;
    private readonly LinearModule _in;
    private readonly NormModule? _norm;
    private readonly TextConvolution _convolution;
    private readonly torch.Tensor _decay, _direct, _shift;
    private readonly GateShape _gate;
    private readonly long _all;
    private readonly int _layer;

    public FastMamba(Mamba2 config, DecoderLayer layer, IKernels kernels, FastLinear linear, FastNorm norms)
    {
        (_config, _kernels, _linear, _norms, _layer) = (config, kernels, linear, norms, layer.Index);
        var modules = layer.Modules;
        _in = modules.Linear($"{config.Path}.in_proj");
        _output = new FastOutput(modules.Linear($"{config.Path}.out_proj"), kernels, linear);
        _norm = config.ResultNorm is null ? null : modules.Norm($"{config.Path}.norm");
        _convolution = new TextConvolution(layer.Index, modules.Parameter($"{config.Path}.conv1d.weight"),
            config.ConvolutionBias ? modules.Parameter($"{config.Path}.conv1d.bias") : null, config.Channels, config.Taps, kernels);
        (_decay, _direct, _shift) = (modules.Parameter($"{config.Path}.A_log"), modules.Parameter($"{config.Path}.D"),
            modules.Parameter($"{config.Path}.dt_bias"));
        _gate = new GateShape(Trainer.Numerics.Elementwise.Gate.Silu, config.Inner, config.Inner);
        _all = _in.OutFeatures;
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        _linear.Forward(pass, _in, x, pass.Batch.Tokens, state.Own(BufferId.MixerInput), _all, state.Of(_in));
        var operands = Operands(pass, state);
        if (pass.Past is { } past) Continue(pass, past, operands, state.Own(BufferId.StateOutput));
        else _kernels.StateScan(pass.Memory, operands, pass.Batch.Starts, default, state.Own(BufferId.StateOutput));
        _output.Forward(pass, state, Normed(pass, Gated(pass, state)), rows, subset, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        Place gradient = pass.Memory.Floats(BufferId.MixedGradient), all = pass.Memory.Floats(BufferId.MixerInputGradient),
            gate = pass.Memory.Floats(BufferId.StateGate), output = state.Own(BufferId.StateOutput), convolved = pass.Memory.Floats(BufferId.Convolved),
            steps = pass.Memory.Floats(BufferId.StateStepGradient);
        long tokens = pass.Batch.Tokens;
        var gated = Gated(pass, state);
        _output.Backward(pass, state, Normed(pass, gated), rows, subset, dy, gradient);
        if (_norm is not null)
            _norms.Backward(_norm, gated, pass.Memory.Floats(BufferId.StateInverse), gradient, default, gradient, _config.Inner, tokens);
        // The gate and the scan's output become their own gradients.
        _kernels.GateBackward(_gate, gate, output, gradient, tokens);
        var operands = Operands(pass, state);
        _kernels.StateScanBackward(pass.Memory, operands, pass.Batch.Starts, output, all, steps);
        _kernels.SiluBackward(convolved, all, tokens * _config.Channels, operands.Mixed);
        _convolution.Backward(pass, operands.Mixed, convolved);
        _kernels.Copy(gate, _config.Inner, all, _all, _config.Inner, tokens);
        _kernels.Copy(convolved, _config.Channels, all + _config.Inner, _all, _config.Channels, tokens);
        _kernels.Copy(steps, _config.Heads, all + _config.Inner + _config.Channels, _all, _config.Heads, tokens);
        _linear.Backward(pass, _in, x, tokens, all, _all, dx, false, state.Of(_in));
    }

    // Each text goes on from its own state.
    private void Continue(FastPass pass, KeyValues[] past, StateOperands all, Place output)
    {
        var starts = pass.Batch.Starts;
        for (var s = 0; s < past.Length; s++)
        {
            long start = starts[s];
            var own = all with { Mixed = all.Mixed + start * _config.Channels, Step = all.Step + start * _all };
            var held = past[s].States.Of(_layer, "mamba", (long)_config.Heads * _config.StateSize * _config.HeadSize);
            _kernels.StateScan(pass.Memory, own, [0, starts[s + 1] - starts[s]], held, output + start * _config.Inner);
        }
    }

    // Values, B and C lie in the scratch, what the activation read beside it.
    private StateOperands Operands(FastPass pass, LayerState state)
    {
        Place all = state.Own(BufferId.MixerInput), convolved = pass.Memory.Floats(BufferId.Convolved), mixed = pass.Memory.Floats(BufferId.MixerScratch);
        long tokens = pass.Batch.Tokens;
        _kernels.Copy(all + _config.Inner, _all, mixed, _config.Channels, _config.Channels, tokens);
        _convolution.Forward(pass, mixed, convolved);
        _kernels.Silu(convolved, tokens * _config.Channels, mixed);
        return new StateOperands(_config, mixed, all + _config.Inner + _config.Channels, _all, _kernels.Of(_decay), _kernels.Of(_direct), _kernels.Of(_shift));
    }

    // silu(z) o; z itself lies in a room of its own.
    private Place Gated(FastPass pass, LayerState state)
    {
        Place gate = pass.Memory.Floats(BufferId.StateGate), mixed = pass.Memory.Floats(BufferId.Mixed);
        _kernels.Copy(state.Own(BufferId.MixerInput), _all, gate, _config.Inner, _config.Inner, pass.Batch.Tokens);
        _kernels.Gate(_gate, gate, state.Own(BufferId.StateOutput), mixed, pass.Batch.Tokens);
        return mixed;
    }

    private Place Normed(FastPass pass, Place gated)
    {
        if (_norm is null) return gated;
        var normed = pass.Memory.Floats(BufferId.StateNormed);
        _norms.Forward(_norm, gated, normed, pass.Memory.Floats(BufferId.StateInverse), _config.Inner, pass.Batch.Tokens);
        return normed;
    }
}
