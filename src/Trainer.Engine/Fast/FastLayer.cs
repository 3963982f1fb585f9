using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>One decoder layer by hand: forward, and backward from what <see cref="LayerState"/> keeps.</summary>
/// <remarks>
/// <code>
/// h = x + m norm(mixer(norm(x)));  out = h + m norm(block(norm(h)))        m: residual multiplier
/// </code>
/// Each norm is there or not, as the family has it: before the parts, after them, or both.
/// Where only some rows of the output are needed (the last layer: rows that carry loss), all that follows the mixing of tokens is computed for these rows.
/// </remarks>
internal sealed class FastLayer(FastShape shape, IKernels kernels, FastNorm norms, IReadOnlyList<(IFastMixer Mixer, IFastBlock Block)> parts)
{
    /// <summary>Computes the layer.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="x">(T, hidden).</param>
    /// <param name="output">(T, hidden), or (rows, hidden); none leaves the last product out: all that a recomputation needs.</param>
    /// <param name="subset">Compute only rows that carry loss.</param>
    public void Forward(FastPass pass, DecoderLayer layer, Place x, Place output, bool subset)
    {
        var (state, buffers) = (pass.State(layer.Index), pass.Buffers);
        var (mixer, block) = parts[layer.Index];
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        var normed = Normed(pass, layer.BeforeAttention, x, state.FirstInverse, tokens);
        mixer.Forward(pass, state, normed, rows, subset, layer.AfterAttention is null ? buffers.Delta : state.RawAttention);
        if (layer.AfterAttention is { } afterMixer) norms.Forward(afterMixer, state.RawAttention, buffers.Delta, state.AttentionInverse, shape.Hidden, rows);
        if (subset) kernels.Gather(x, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowInput);
        var input = AddNormed(pass, layer.BeforeMlp, subset ? buffers.RowInput : x, state.Middle, state.SecondInverse, rows);
        if (layer.AfterMlp is { } afterBlock)
        {
            block.Forward(pass, state, input, rows, state.RawMlp);
            norms.Forward(afterBlock, state.RawMlp, buffers.Delta, state.MlpInverse, shape.Hidden, rows);
        }
        else
        {
            // What a recomputation needs is there without the block's result.
            block.Forward(pass, state, input, rows, output.IsNone ? default : buffers.Delta);
        }
        if (!output.IsNone) kernels.AddScaled(state.Middle, buffers.Delta, shape.ResidualMultiplier, output, rows * shape.Hidden);
    }

    /// <summary>
    /// The layer's gradients from its kept state: parameters' into the flat buffer, the input's over <see cref="FastBuffers.Gradient"/>.
    /// </summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Its input (T, hidden).</param>
    /// <param name="upper">Gradient of its output: (T, hidden) in <see cref="FastBuffers.Gradient"/>, or (rows, hidden) in
    /// <see cref="FastBuffers.RowGradient"/>; overwritten.</param>
    /// <param name="subset">The output was computed for rows that carry loss.</param>
    /// <param name="needsInput">Whether anything below is trained.</param>
    public void Backward(FastPass pass, DecoderLayer layer, Place x, Place upper, bool subset, bool needsInput)
    {
        var (state, buffers) = (pass.State(layer.Index), pass.Buffers);
        var (mixer, block) = parts[layer.Index];
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        var delta = AddendGradient(pass, layer.AfterMlp, state.RawMlp, state.MlpInverse, upper, rows);
        block.Backward(pass, state, Normed(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, rows), rows, delta, buffers.Delta);
        InputGradient(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, upper, upper, rows);
        // upper is now the gradient of the stream between the parts. A trained norm on the input needs its output's gradient even where nothing below is
        // trained.
        delta = AddendGradient(pass, layer.AfterAttention, state.RawAttention, state.AttentionInverse, upper, rows);
        needsInput |= norms.Trains(layer.BeforeAttention);
        mixer.Backward(pass, state, Normed(pass, layer.BeforeAttention, x, state.FirstInverse, tokens), rows, subset, delta,
            needsInput ? buffers.Delta : default);
        if (!needsInput) return;
        // Where only some rows had an output, the gradient that goes around the mixer reaches these rows alone.
        InputGradient(pass, layer.BeforeAttention, x, state.FirstInverse, subset ? default : upper, buffers.Gradient, tokens);
        if (subset) kernels.ScatterAdd(upper, pass.Batch.LossRows, rows, shape.Hidden, buffers.Gradient, tokens);
    }

    // A part's input: x, or its norm.
    private Place Normed(FastPass pass, NormModule? norm, Place x, Place inverse, long rows)
    {
        if (norm is null) return x;
        norms.Forward(norm, x, pass.Buffers.Normed, inverse, shape.Hidden, rows);
        return pass.Buffers.Normed;
    }

    // sum = x + m Delta; the next part's input: sum, or its norm in the same pass over memory.
    private Place AddNormed(FastPass pass, NormModule? norm, Place x, Place sum, Place inverse, long rows)
    {
        Place delta = pass.Buffers.Delta, y = norm is null ? sum : pass.Buffers.Normed;
        if (norm is null) kernels.AddScaled(x, delta, shape.ResidualMultiplier, sum, rows * shape.Hidden);
        else norms.AddForward(norm, x, delta, sum, y, inverse, rows);
        return y;
    }

    // The gradient of a part's result: the stream's times the residual multiplier, through the norm on the result where there is one.
    private Place AddendGradient(FastPass pass, NormModule? after, Place raw, Place inverse, Place upper, long rows)
    {
        var gradient = Scaled(pass, upper, rows);
        if (after is null) return gradient;
        norms.Backward(after, raw, inverse, gradient, default, pass.Buffers.Delta, shape.Hidden, rows);
        return pass.Buffers.Delta;
    }

    // dx = around + the gradient of a part's input in Delta, through the norm on that input where there is one. dx may be around.
    private void InputGradient(FastPass pass, NormModule? before, Place x, Place inverse, Place around, Place dx, long rows)
    {
        var from = pass.Buffers.Delta;
        var count = rows * shape.Hidden;
        if (before is not null) norms.Backward(before, x, inverse, from, around, dx, shape.Hidden, rows);
        else if (!around.IsNone) kernels.AddScaled(around, from, 1f, dx, count);
        else kernels.Copy(from, count, dx, count, count, 1);
    }

    // The stream's gradient times the residual multiplier.
    private Place Scaled(FastPass pass, Place upper, long rows)
    {
        if (shape.ResidualMultiplier == 1f) return upper;
        kernels.Fill(pass.Buffers.Delta, rows * shape.Hidden, 0f);
        kernels.AddScaled(pass.Buffers.Delta, upper, shape.ResidualMultiplier, pass.Buffers.Delta, rows * shape.Hidden);
        return pass.Buffers.Delta;
    }
}
