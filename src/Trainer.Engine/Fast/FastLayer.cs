namespace Trainer.Engine.Fast;

/// <summary>One decoder layer by hand: forward, and backward from what <see cref="LayerState"/> keeps.</summary>
/// <remarks>
/// <code>
/// n1 = norm(x);  q, k, v = n1 W (turned);  a = attention(q, k, v);  h = x + m norm(a Wo)
/// n2 = norm(h);  out = h + m norm(block(n2))        m: residual multiplier; block: dense, or experts
/// </code>
/// Each norm is there or not, as the family has it: before the blocks, after them, or both.
/// Where only some rows of the output are needed (the last layer: rows that carry loss), queries, attention output and all that follows are
/// computed for these rows; keys and values for all.
/// </remarks>
internal sealed partial class FastLayer(ModelConfig config, FastShape shape, IKernels kernels, FastLinear linear, FastNorm norms, IReadOnlyList<IFastBlock> blocks)
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
        long tokens = pass.Batch.Tokens, rows = subset ? pass.Batch.LossCount : tokens;
        Projections(pass, layer, state, Normed(pass, layer.BeforeAttention, x, state.FirstInverse, tokens), tokens, subset);
        Turn(pass, layer, state.Query, state.Key, false);
        var operands = Operands(layer, state);
        if (pass.Past is { } past) Continue(pass, layer.Index, past, operands);
        else kernels.Attention(pass.Memory, pass.Batch.Starts, operands);
        Place attended = state.Attended, residual = x;
        if (subset)
        {
            kernels.Gather(state.Attended, pass.Batch.LossRows, rows, shape.Query, buffers.RowAttended);
            kernels.Gather(x, pass.Batch.LossRows, rows, shape.Hidden, buffers.RowInput);
            attended = buffers.RowAttended;
            residual = buffers.RowInput;
        }
        Addend(pass, layer.Output, layer.AfterAttention, attended, rows, state.RawAttention, state.AttentionInverse);
        var input = AddNormed(pass, layer.BeforeMlp, residual, state.Middle, state.SecondInverse, rows);
        // What a recomputation needs is there without the block's result, unless that is normed.
        if (output.IsNone && layer.AfterMlp is null)
        {
            blocks[layer.Index].Forward(pass, state, input, rows, default);
            return;
        }
        blocks[layer.Index].Forward(pass, state, input, rows, layer.AfterMlp is null ? buffers.Delta : state.RawMlp);
        if (layer.AfterMlp is not null) norms.Forward(layer.AfterMlp, state.RawMlp, buffers.Delta, state.MlpInverse, shape.Hidden, rows);
        if (output.IsNone) return;
        kernels.AddScaled(state.Middle, buffers.Delta, shape.ResidualMultiplier, output, rows * shape.Hidden);
    }

    // New keys and values join those of their texts, and attention looks at all.
    private void Continue(FastPass pass, int layer, KeyValues[] past, LayerAttention operands)
    {
        var (starts, texts) = (pass.Batch.Starts, new HeldTokens[past.Length]);
        for (var s = 0; s < past.Length; s++)
            texts[s] = past[s].Put(layer, operands.Key + starts[s] * (long)shape.KvStride, operands.Value + starts[s] * (long)shape.KvStride, starts[s + 1] - starts[s]);
        kernels.ContinueAttention(pass.Memory, starts, operands, texts);
    }

    private void Projections(FastPass pass, DecoderLayer layer, LayerState state, Place normed, long tokens, bool subset)
    {
        if (layer.Qkv is { } fused)
        {
            linear.Forward(pass, fused, normed, tokens, state.Query, shape.QueryStride, state.Of(fused));
            return;
        }
        var query = shape.QueryNorms ? state.RawQuery : state.Query;
        var key = shape.QueryNorms ? state.RawKey : state.Key;
        if (subset)
        {
            long rows = pass.Batch.LossCount;
            kernels.Gather(normed, pass.Batch.LossRows, rows, shape.Hidden, pass.Buffers.RowNormed);
            linear.Forward(pass, layer.Query!, pass.Buffers.RowNormed, rows, pass.Buffers.RowQuery, shape.Query, state.Of(layer.Query!));
            // Rows nobody asks for become zero queries: harmless, and without effect on the gradient.
            kernels.Scatter(pass.Buffers.RowQuery, pass.Batch.LossRows, rows, shape.Query, query, tokens);
        }
        else
        {
            linear.Forward(pass, layer.Query!, normed, tokens, query, shape.Query, state.Of(layer.Query!));
        }
        linear.Forward(pass, layer.Key!, normed, tokens, key, shape.Kv, state.Of(layer.Key!));
        linear.Forward(pass, layer.Value!, normed, tokens, state.Value, shape.Kv, state.Of(layer.Value!));
        if (!shape.QueryNorms) return;
        NormQueries(layer, state, state.Query, state.Key, tokens);
        if (shape.Clip is not { } limit) return;
        kernels.Clamp(state.Query, tokens * shape.Query, limit);
        kernels.Clamp(state.Key, tokens * shape.Kv, limit);
        kernels.Clamp(state.Value, tokens * shape.Kv, limit);
    }

    private void NormQueries(DecoderLayer layer, LayerState state, Place query, Place key, long tokens)
    {
        norms.Forward(layer.QueryNorm!, state.RawQuery, query, state.QueryInverse, shape.QueryNormWidth, tokens * shape.Query / shape.QueryNormWidth);
        norms.Forward(layer.KeyNorm!, state.RawKey, key, state.KeyInverse, shape.KeyNormWidth, tokens * shape.Kv / shape.KeyNormWidth);
    }

    private LayerAttention Operands(DecoderLayer layer, LayerState state)
    {
        var attention = (SelfAttention)layer.Config.Mixer;
        return state.Attention(attention.Window, attention.HasSinks ? kernels.Of(layer.Modules.Parameter($"{attention.Path}.sinks")) : default);
    }

    private void Turn(FastPass pass, DecoderLayer layer, Place query, Place key, bool inverse)
    {
        var rope = layer.Config.Rope;
        if (rope < 0) return;
        var (batch, half) = (pass.Batch, config.Ropes[rope].Dimensions / 2);
        kernels.Rotate(query, shape.QueryStride, shape.Heads, batch.Cos(rope), batch.Sin(rope), batch.Positions, half, inverse, batch.Tokens);
        kernels.Rotate(key, shape.KvStride, shape.KvHeads, batch.Cos(rope), batch.Sin(rope), batch.Positions, half, inverse, batch.Tokens);
    }

    // What a block adds to the stream, into Delta: its last product, normed where the family does so; the backward pass of that norm needs the product itself.
    private void Addend(FastPass pass, LinearModule last, NormModule? after, Place x, long rows, Place raw, Place inverse)
    {
        linear.Forward(pass, last, x, rows, after is null ? pass.Buffers.Delta : raw, shape.Hidden, pass.State(last.Layer).Of(last));
        if (after is null) return;
        norms.Forward(after, raw, pass.Buffers.Delta, inverse, shape.Hidden, rows);
    }

    // A block's input: x, or its norm.
    private Place Normed(FastPass pass, NormModule? norm, Place x, Place inverse, long rows)
    {
        if (norm is null) return x;
        norms.Forward(norm, x, pass.Buffers.Normed, inverse, shape.Hidden, rows);
        return pass.Buffers.Normed;
    }

    // sum = x + m Delta; the next block's input: sum, or its norm in the same pass over memory.
    private Place AddNormed(FastPass pass, NormModule? norm, Place x, Place sum, Place inverse, long rows)
    {
        Place delta = pass.Buffers.Delta, y = norm is null ? sum : pass.Buffers.Normed;
        if (norm is null) kernels.AddScaled(x, delta, shape.ResidualMultiplier, sum, rows * shape.Hidden);
        else norms.AddForward(norm, x, delta, sum, y, inverse, rows);
        return y;
    }
}
