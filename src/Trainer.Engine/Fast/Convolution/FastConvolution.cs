using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Convolution;

/// <summary>A gated convolution over the last few tokens by hand.</summary>
/// <remarks>
/// <code>
/// b, c, x = n W;  p = b x;  m = c conv(p);  y = m Wo
/// </code>
/// Each segment begins with zeros; a text that is continued, with the last p of what came before.
/// </remarks>
internal sealed class FastConvolution : IFastMixer
{
    private readonly IKernels _kernels;
    private readonly FastLinear _linear;
    private readonly FastOutput _output;
    private readonly LinearModule _input;
    private readonly TextConvolution _convolution;
    private readonly int _hidden;

    public FastConvolution(ShortConvolution config, DecoderLayer layer, FastShape shape, IKernels kernels, FastLinear linear)
    {
        (_kernels, _linear, _hidden) = (kernels, linear, shape.Hidden);
        _input = layer.Modules.Linear($"{config.Path}.in_proj");
        _output = new FastOutput(layer.Modules.Linear($"{config.Path}.out_proj"), kernels, linear);
        var bias = config.HasBias ? layer.Modules.Parameter($"{config.Path}.conv.bias") : null;
        _convolution = new TextConvolution(layer.Index, layer.Modules.Parameter($"{config.Path}.conv.weight"), bias, _hidden, config.Taps, kernels);
    }

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        long tokens = pass.Batch.Tokens;
        _linear.Forward(pass, _input, x, tokens, state.Own(BufferId.MixerInput), 3L * _hidden, state.Of(_input));
        var (convolved, mixed) = Mix(pass, state);
        Multiply(state.Own(BufferId.MixerInput) + _hidden, 3, convolved, 1, mixed, 1, tokens);
        _output.Forward(pass, state, mixed, rows, subset, y);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        long tokens = pass.Batch.Tokens;
        Place all = state.Own(BufferId.MixerInput), gradient = pass.Memory.Floats(BufferId.MixerInputGradient),
            scratch = pass.Memory.Floats(BufferId.MixerScratch);
        var (convolved, mixed) = Mix(pass, state);
        Multiply(all + _hidden, 3, convolved, 1, mixed, 1, tokens);
        var upper = pass.Memory.Floats(BufferId.MixedGradient);
        _output.Backward(pass, state, mixed, rows, subset, dy, upper);
        Multiply(upper, 1, convolved, 1, gradient + _hidden, 3, tokens);
        Multiply(upper, 1, all + _hidden, 3, upper, 1, tokens);
        _convolution.Backward(pass, upper, scratch);
        Multiply(scratch, 1, all + 2L * _hidden, 3, gradient, 3, tokens);
        Multiply(scratch, 1, all, 3, gradient + 2L * _hidden, 3, tokens);
        _linear.Backward(pass, _input, x, tokens, gradient, 3L * _hidden, dx, false, state.Of(_input));
    }

    // conv(b x); leaves b x in the scratch. What is mixed has a room of its own.
    private (Place Convolved, Place Mixed) Mix(FastPass pass, LayerState state)
    {
        Place all = state.Own(BufferId.MixerInput), product = pass.Memory.Floats(BufferId.MixerScratch), convolved = pass.Memory.Floats(BufferId.Convolved);
        Multiply(all, 3, all + 2L * _hidden, 3, product, 1, pass.Batch.Tokens);
        _convolution.Forward(pass, product, convolved);
        return (convolved, pass.Memory.Floats(BufferId.Mixed));
    }

    // Strides in widths of the stream.
    private void Multiply(Place a, int aStep, Place b, int bStep, Place y, int yStep, long rows) =>
        _kernels.MultiplyRows(a, aStep * (long)_hidden, b, bStep * (long)_hidden, y, yStep * (long)_hidden, rows, _hidden);
}
