using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Mamba;

/// <summary>A state-space mixer by hand.</summary>
/// <remarks>
/// <code>
/// z m t = x Win;  v B C = silu(conv(m));  o = scan(v, B, C, t);  y = norm(silu(z) o) Wout, or (silu(z) norm(o)) Wout, or without a norm
/// </code>
/// The input and the five parts of the first product may have multipliers, the norm may be of groups. The first product is kept, times its multipliers; the
/// convolution's result, the gate's and the norm's are made again on the way back.
/// </remarks>
internal sealed class FastMamba : IFastMixer
{
    private readonly Mamba2 _config;
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly FastGroupNorm? _norm;
    private readonly FastOutput _output;
    private readonly LinearModule _in;
    private readonly TextConvolution _convolution;
    private readonly torch.Tensor _decay, _direct, _shift;
    private readonly GateShape _gate;
    private readonly long _all;
    private readonly int _layer;
    private readonly float _input;

    public FastMamba(Mamba2 config, DecoderLayer layer, IKernels kernels, FastLinear linear, FastNorm norms)
    {
        (_config, _kernels, _linear, _layer, _input) = (config, kernels, linear, layer.Index, (float)config.InputMultiplier);
        var modules = layer.Modules;
        _in = modules.Linear($"{config.Path}.in_proj");
        _output = new FastOutput(modules.Linear($"{config.Path}.out_proj"), kernels, linear);
        _norm = config.ResultNorm is null ? null : new FastGroupNorm(modules.Norm($"{config.Path}.norm"), config.Inner, config.NormGroups, kernels, norms);
        _convolution = new TextConvolution(layer.Index, modules.Parameter($"{config.Path}.conv1d.weight"),
            config.ConvolutionBias ? modules.Parameter($"{config.Path}.conv1d.bias") : null, config.Channels, config.Taps, kernels);
        (_decay, _direct, _shift) = (modules.Parameter($"{config.Path}.A_log"), modules.Parameter($"{config.Path}.D"),
            modules.Parameter($"{config.Path}.dt_bias"));
        _gate = new GateShape(Trainer.Numerics.Elementwise.Gate.Silu, config.Inner, config.Inner);
        _all = _in.OutFeatures;
    }

    private bool NormsFirst => _norm is not null && _config.NormsBeforeGate;

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        var all = state.Own(BufferId.MixerInput);
        _linear.Forward(pass, _in, Input(pass, x), pass.Batch.Tokens, all, _all, state.Of(_in));
        ScaleParts(pass, all);
        var operands = Operands(pass, state);
        if (pass.Past is { } past) Continue(pass, past, operands, state.Own(BufferId.StateOutput));
        else _kernels.StateScan(pass.Memory, operands, pass.Batch.Starts, default, state.Own(BufferId.StateOutput));
        _output.Forward(pass, state, Mixed(pass, state), rows, subset, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        Place gradient = pass.Memory.Floats(BufferId.MixedGradient), all = pass.Memory.Floats(BufferId.MixerInputGradient),
            gate = pass.Memory.Floats(BufferId.StateGate), output = state.Own(BufferId.StateOutput), convolved = pass.Memory.Floats(BufferId.Convolved),
            steps = pass.Memory.Floats(BufferId.StateStepGradient);
        long tokens = pass.Batch.Tokens;
        _output.Backward(pass, state, Mixed(pass, state), rows, subset, dy, gradient);
        // The gate and what it multiplied become their own gradients.
        var scanned = output;
        if (NormsFirst)
        {
            scanned = pass.Memory.Floats(BufferId.StateNormed);
            _kernels.GateBackward(_gate, gate, scanned, gradient, tokens);
            _norm!.Backward(pass, output, scanned, scanned);
        }
        else
        {
            _norm?.Backward(pass, pass.Memory.Floats(BufferId.Mixed), gradient, gradient);
            _kernels.GateBackward(_gate, gate, output, gradient, tokens);
        }
        var operands = Operands(pass, state);
        _kernels.StateScanBackward(pass.Memory, operands, pass.Batch.Starts, scanned, all, steps);
        _kernels.SiluBackward(convolved, all, tokens * _config.Channels, operands.Mixed);
        _convolution.Backward(pass, operands.Mixed, convolved);
        _kernels.Copy(gate, _config.Inner, all, _all, _config.Inner, tokens);
        _kernels.Copy(convolved, _config.Channels, all + _config.Inner, _all, _config.Channels, tokens);
        _kernels.Copy(steps, _config.Heads, all + _config.Inner + _config.Channels, _all, _config.Heads, tokens);
        ScaleParts(pass, all);
        _linear.Backward(pass, _in, Input(pass, x), tokens, all, _all, dx, false, state.Of(_in));
        if (_input != 1f && !dx.IsNone) _kernels.Scale(dx, tokens * _in.InFeatures, _input);
    }

    private Place Input(FastPass pass, Place x)
    {
        if (_input == 1f) return x;
        var scaled = pass.Memory.Floats(BufferId.StateInput);
        _kernels.CopyScaled(x, _input, scaled, pass.Batch.Tokens * _in.InFeatures);
        return scaled;
    }

    // Gate, values, B, C and steps times their multipliers; gradients likewise.
    private void ScaleParts(FastPass pass, Place all)
    {
        if (_config.PartMultipliers is not { } multipliers) return;
        var (factors, at, states) = (pass.Memory.Floats(BufferId.StateFactors), 0L, (long)_config.Groups * _config.StateSize);
        foreach (var (width, factor) in ((long[])[_config.Inner, _config.Inner, states, states, _config.Heads]).Zip(multipliers))
        {
            _kernels.Fill(factors + at, width, (float)factor);
            at += width;
        }
        _kernels.ScaleColumns(factors, all, _all, pass.Batch.Tokens, _all, all, _all, add: false);
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

    // What the last product takes. z lies in a room of its own, what the gate multiplied or gave beside it.
    private Place Mixed(FastPass pass, LayerState state)
    {
        Place gate = pass.Memory.Floats(BufferId.StateGate), mixed = pass.Memory.Floats(BufferId.Mixed), output = state.Own(BufferId.StateOutput);
        _kernels.Copy(state.Own(BufferId.MixerInput), _all, gate, _config.Inner, _config.Inner, pass.Batch.Tokens);
        var normed = _norm is null ? default : pass.Memory.Floats(BufferId.StateNormed);
        if (NormsFirst) _norm!.Forward(pass, output, normed);
        _kernels.Gate(_gate, gate, NormsFirst ? normed : output, mixed, pass.Batch.Tokens);
        if (_norm is null || NormsFirst) return mixed;
        _norm.Forward(pass, mixed, normed);
        return normed;
    }
}
