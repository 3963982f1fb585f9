using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>One decoder layer by hand: forward, and backward from what <see cref="LayerState"/> keeps.</summary>
/// <remarks>
/// <code>
/// h = x + m norm(mixer(norm(x)));  out = s step(h + m norm(block(norm(h))))        m: residual multiplier, s: the layer's own
/// </code>
/// Each norm is there or not, as the family has it: before the parts, after them, or both. So is each part: a layer may be a mixer alone, or a block alone.
/// Where only some rows of the output are needed (the last layer: rows that carry loss), all that follows the mixing of tokens is computed for these rows.
/// </remarks>
internal sealed class FastLayer(FastShape shape, IKernels kernels, FastNorm norms, IReadOnlyList<FastParts> parts)
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
        var (mixer, block, step, scalar) = parts[layer.Index];
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        var target = step is null ? output : state.Own(BufferId.StepInput);
        if (mixer is not null) Mix(pass, state, layer, x, rows, subset, isRead: block is not null || !target.IsNone);
        if (subset) kernels.Gather(x, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowInput);
        var stream = subset ? buffers.RowInput : x;
        if (block is not null) Block(pass, state, layer, stream, rows, target);
        else if (!target.IsNone) kernels.AddScaled(stream, buffers.Delta, shape.ResidualMultiplier, target, rows * shape.Hidden);
        step?.Forward(pass, state, rows, subset, output);
        if (scalar != 1f && !output.IsNone) kernels.Scale(output, rows * shape.Hidden, scalar);
    }

    // What mixing adds to the stream, in Delta; where nobody reads it, only what the backward pass needs.
    private void Mix(FastPass pass, LayerState state, DecoderLayer layer, Place x, long rows, bool subset, bool isRead)
    {
        var delta = pass.Buffers.Delta;
        var normed = Normed(pass, layer.BeforeAttention, x, state.FirstInverse, pass.Batch.Tokens);
        var (mixer, after) = (parts[layer.Index].Mixer!, layer.AfterAttention);
        mixer.Forward(pass, state, normed, rows, subset, after is not null ? state.RawAttention : isRead ? delta : default);
        if (after is not null) norms.Forward(after, state.RawAttention, delta, state.AttentionInverse, shape.Hidden, rows);
    }

    // The stream between the parts and, unless the target is none, behind them.
    private void Block(FastPass pass, LayerState state, DecoderLayer layer, Place stream, long rows, Place target)
    {
        var (buffers, block, mixer) = (pass.Buffers, parts[layer.Index].Block!, parts[layer.Index].Mixer);
        var input = mixer is null ? Entered(pass, layer.BeforeMlp, stream, state, rows)
            : AddNormed(pass, layer.BeforeMlp, stream, state.Middle, state.SecondInverse, rows);
        if (layer.AfterMlp is { } afterBlock)
        {
            block.Forward(pass, state, input, rows, state.RawMlp);
            norms.Forward(afterBlock, state.RawMlp, buffers.Delta, state.MlpInverse, shape.Hidden, rows);
        }
        else
        {
            // What a recomputation needs is there without the block's result.
            block.Forward(pass, state, input, rows, target.IsNone ? default : buffers.Delta);
        }
        if (!target.IsNone) kernels.AddScaled(state.Middle, buffers.Delta, shape.ResidualMultiplier, target, rows * shape.Hidden);
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
        var (mixer, block, step, scalar) = parts[layer.Index];
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        if (scalar != 1f) kernels.Scale(upper, rows * shape.Hidden, scalar);
        step?.Backward(pass, state, upper, rows, subset);
        if (block is not null)
        {
            var addend = AddendGradient(pass, layer.AfterMlp, state.RawMlp, state.MlpInverse, upper, rows);
            block.Backward(pass, state, Normed(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, rows), rows, addend, buffers.Delta);
            InputGradient(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, upper, upper, rows);
        }
        // upper is now the gradient of the stream between the parts.
        if (mixer is null)
        {
            if (subset && needsInput) kernels.Scatter(upper, pass.Batch.LossRows, rows, shape.Hidden, buffers.Gradient, tokens);
            return;
        }
        // A trained norm on the input needs its output's gradient even where nothing below is trained.
        var delta = AddendGradient(pass, layer.AfterAttention, state.RawAttention, state.AttentionInverse, upper, rows);
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

    // The stream is kept as it is: nothing was mixed.
    private Place Entered(FastPass pass, NormModule? norm, Place x, LayerState state, long rows)
    {
        var count = rows * shape.Hidden;
        kernels.Copy(x, count, state.Middle, count, count, 1);
        return Normed(pass, norm, state.Middle, state.SecondInverse, rows);
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
