namespace Trainer.Engine.Fast;

internal sealed partial class FastLayer
{
    /// <summary>
    /// The layer's gradients from its kept state: parameters' into the flat buffer, the input's over <see cref="FastBuffers.Gradient"/>.
    /// </summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Its input (T, hidden).</param>
    /// <param name="upper">Gradient of its output: (T, hidden) in <see cref="FastBuffers.Gradient"/>, or (rows, hidden) in <see cref="FastBuffers.RowGradient"/>; overwritten.</param>
    /// <param name="subset">The output was computed for rows that carry loss.</param>
    /// <param name="needsInput">Whether anything below is trained.</param>
    public void Backward(FastPass pass, DecoderLayer layer, Place x, Place upper, bool subset, bool needsInput)
    {
        var (state, buffers) = (pass.State(layer.Index), pass.Buffers);
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        MlpBackward(pass, layer, state, upper, rows);
        // upper is now the gradient of the stream between the blocks.
        var delta = AddendGradient(pass, layer.AfterAttention, state.RawAttention, state.AttentionInverse, upper, rows);
        var attended = subset ? buffers.RowAttended : state.Attended;
        if (subset) kernels.Gather(state.Attended, pass.Batch.LossRows, rows, shape.Query, attended);
        linear.Backward(pass, layer.Output, attended, rows, delta, shape.Hidden, subset ? buffers.RowQuery : buffers.AttendedGradient, false, state.Of(layer.Output));
        if (subset)
        {
            kernels.Scatter(buffers.RowQuery, pass.Batch.LossRows, rows, shape.Query, buffers.AttendedGradient, tokens);
        }
        kernels.AttentionBackward(
            pass.Memory, pass.Batch.Starts, Operands(layer, state), buffers.AttendedGradient, buffers.QueryGradient, buffers.KeyGradient, buffers.ValueGradient);
        Turn(pass, layer, buffers.QueryGradient, buffers.KeyGradient, true);
        ClipBackward(pass, layer, state, tokens);
        QueryNormsBackward(pass, layer, state, tokens);
        // A trained norm on the input needs the gradient of its output even where nothing below is trained.
        needsInput |= norms.Trains(layer.BeforeAttention);
        ProjectionsBackward(pass, layer, state, x, tokens, subset, needsInput ? buffers.Delta : default);
        if (!needsInput) return;
        // Where only some rows had an output, the gradient that goes around attention reaches these rows alone.
        InputGradient(pass, layer.BeforeAttention, x, state.FirstInverse, subset ? default : upper, buffers.Gradient, tokens);
        if (subset) kernels.ScatterAdd(upper, pass.Batch.LossRows, rows, shape.Hidden, buffers.Gradient, tokens);
    }

    private void MlpBackward(FastPass pass, DecoderLayer layer, LayerState state, Place upper, long rows)
    {
        var delta = AddendGradient(pass, layer.AfterMlp, state.RawMlp, state.MlpInverse, upper, rows);
        var input = Normed(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, rows);
        blocks[layer.Index].Backward(pass, state, input, rows, delta, pass.Buffers.Delta);
        InputGradient(pass, layer.BeforeMlp, state.Middle, state.SecondInverse, upper, upper, rows);
    }

    // Where queries, keys or values were cut off nothing flows back. Before they were turned they are made again, in the room of a gradient that is used up.
    private void ClipBackward(FastPass pass, DecoderLayer layer, LayerState state, long tokens)
    {
        if (shape.Clip is not { } limit) return;
        var buffers = pass.Buffers;
        NormQueries(layer, state, buffers.AttendedGradient, state.Key, tokens);
        kernels.ClampBackward(buffers.AttendedGradient, tokens * shape.Query, limit, buffers.QueryGradient);
        kernels.ClampBackward(state.Key, tokens * shape.Kv, limit, buffers.KeyGradient);
        kernels.ClampBackward(state.Value, tokens * shape.Kv, limit, buffers.ValueGradient);
    }

    private void QueryNormsBackward(FastPass pass, DecoderLayer layer, LayerState state, long tokens)
    {
        if (!shape.QueryNorms) return;
        var (query, key) = (shape.QueryNormWidth, shape.KeyNormWidth);
        norms.Backward(layer.QueryNorm!, state.RawQuery, state.QueryInverse, pass.Buffers.QueryGradient, default, pass.Buffers.QueryGradient, query, tokens * shape.Query / query);
        norms.Backward(layer.KeyNorm!, state.RawKey, state.KeyInverse, pass.Buffers.KeyGradient, default, pass.Buffers.KeyGradient, key, tokens * shape.Kv / key);
    }

    private void ProjectionsBackward(FastPass pass, DecoderLayer layer, LayerState state, Place x, long tokens, bool subset, Place target)
    {
        var buffers = pass.Buffers;
        var input = Normed(pass, layer.BeforeAttention, x, state.FirstInverse, tokens);
        if (layer.Qkv is { } fused)
        {
            linear.Backward(pass, fused, input, tokens, buffers.QueryGradient, shape.QueryStride, target, false, state.Of(fused));
            return;
        }
        linear.Backward(pass, layer.Key!, input, tokens, buffers.KeyGradient, shape.Kv, target, false, state.Of(layer.Key!));
        linear.Backward(pass, layer.Value!, input, tokens, buffers.ValueGradient, shape.Kv, target, true, state.Of(layer.Value!));
        if (!subset)
        {
            linear.Backward(pass, layer.Query!, input, tokens, buffers.QueryGradient, shape.Query, target, true, state.Of(layer.Query!));
            return;
        }
        long rows = pass.Batch.LossCount;
        kernels.Gather(input, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowNormed);
        kernels.Gather(buffers.QueryGradient, pass.Batch.LossRows, rows, shape.Query, buffers.RowQuery);
        linear.Backward(pass, layer.Query!, buffers.RowNormed, rows, buffers.RowQuery, shape.Query, target.IsNone ? default : buffers.RowInput, false, state.Of(layer.Query!));
        if (target.IsNone) return;
        kernels.ScatterAdd(buffers.RowInput, pass.Batch.LossRows, rows, shape.Hidden, target, tokens);
    }

    // The gradient of a block's last product: the stream's times the residual multiplier, through the norm on the block's output where there is one.
    private Place AddendGradient(FastPass pass, NormModule? after, Place raw, Place inverse, Place upper, long rows)
    {
        var gradient = Scaled(pass, upper, rows);
        if (after is null) return gradient;
        norms.Backward(after, raw, inverse, gradient, default, pass.Buffers.Delta, shape.Hidden, rows);
        return pass.Buffers.Delta;
    }

    // dx = around + the gradient of a block's input in Delta, through the norm on that input where there is one. dx may be around.
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
