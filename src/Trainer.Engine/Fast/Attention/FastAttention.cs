using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Attention;

/// <summary>Self-attention by hand.</summary>
/// <remarks>
/// <code>
/// q, k, v = x W (normed, cut off and turned where the family does so);  y = attention(q, k, v) Wo
/// </code>
/// Where only some rows are asked for, queries are computed for these, unless they have gates; keys and values for all.
/// </remarks>
internal sealed partial class FastAttention(SelfAttention attention, DecoderLayer layer, ModelConfig config, FastShape shape, IKernels kernels,
    FastLinear linear, FastNorm norms) : IFastMixer
{
    private readonly FastOutput _output = new(layer.Output, kernels, linear);

    // Heads without a rotary embedding have no norm without weights either.
    private bool NormsHeads => shape.QueryNorms && !(attention.QkNorm == QkNorm.Unit && attention.Rope < 0);

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        Projections(pass, state, x, rows, subset);
        var isTurnedRaw = NormsHeads && attention.NormsRotated;
        Turn(pass, isTurnedRaw ? state.RawQuery : state.Query, isTurnedRaw ? state.RawKey : state.Key, false);
        if (isTurnedRaw) NormQueries(pass, state, state.Query, state.Key, pass.Batch.Tokens);
        Warm(pass, state.Query);
        Attend(pass, kernels, shape, layer.Index, Operands(state), attention.Chunk);
        _output.Forward(pass, state, Gated(pass, state), rows, subset, y);
    }

    /// <summary>Attention within segments, or within blocks of so many tokens of each; where texts are continued, new keys and values join theirs and
    /// attention looks at all, or at those of the block.</summary>
    public static void Attend(FastPass pass, IKernels kernels, FastShape shape, int layer, LayerAttention operands, int? chunk = null)
    {
        var starts = chunk is { } size ? TextChunks.Cut(pass.Batch.Starts, size) : pass.Batch.Starts;
        if (pass.Past is not { } past)
        {
            kernels.Attention(pass.Memory, starts, operands);
            return;
        }
        starts = pass.Batch.Starts;
        var texts = new HeldTokens[past.Length];
        for (var s = 0; s < past.Length; s++)
            texts[s] = past[s].Put(layer, operands.Key + starts[s] * (long)shape.KvStride, operands.Value + starts[s] * (long)shape.KvStride,
                starts[s + 1] - starts[s]);
        if (chunk is { } block) (starts, texts) = TextChunks.Cut(starts, texts, block, shape.Kv);
        kernels.ContinueAttention(pass.Memory, starts, operands, texts);
    }

    private void Projections(FastPass pass, LayerState state, Place normed, long rows, bool subset)
    {
        long tokens = pass.Batch.Tokens;
        if (layer.Qkv is { } fused)
        {
            linear.Forward(pass, fused, normed, tokens, state.Query, shape.QueryStride, state.Of(fused));
            return;
        }
        var query = NormsHeads ? state.RawQuery : state.Query;
        var key = NormsHeads ? state.RawKey : state.Key;
        if (attention.HasGate)
        {
            // A head's query and its gate lie side by side.
            var (both, heads) = (pass.Memory.Floats(BufferId.QueryAndGate), tokens * shape.Heads);
            linear.Forward(pass, layer.Query!, normed, tokens, both, 2L * shape.Query, state.Of(layer.Query!));
            kernels.Copy(both, 2 * shape.HeadSize, query, shape.HeadSize, shape.HeadSize, heads);
            kernels.Copy(both + shape.HeadSize, 2 * shape.HeadSize, state.Own(BufferId.AttentionGate), shape.HeadSize, shape.HeadSize, heads);
        }
        else if (subset)
        {
            kernels.Gather(normed, pass.Batch.LossRows, rows, shape.Hidden, pass.Buffers.RowNormed);
            linear.Forward(pass, layer.Query!, pass.Buffers.RowNormed, rows, pass.Buffers.RowQuery, shape.Query, state.Of(layer.Query!));
            // Rows nobody asks for become zero queries: harmless, and without effect on the gradient.
            kernels.Scatter(pass.Buffers.RowQuery, pass.Batch.LossRows, rows, shape.Query, query, tokens);
        }
        else linear.Forward(pass, layer.Query!, normed, tokens, query, shape.Query, state.Of(layer.Query!));
        linear.Forward(pass, layer.Key!, normed, tokens, key, shape.Kv, state.Of(layer.Key!));
        linear.Forward(pass, layer.Value!, normed, tokens, state.Value, shape.Kv, state.Of(layer.Value!));
        if (!NormsHeads || attention.NormsRotated) return;
        NormQueries(pass, state, state.Query, state.Key, tokens);
        if (shape.Clip is not { } limit) return;
        kernels.Clamp(state.Query, tokens * shape.Query, limit);
        kernels.Clamp(state.Key, tokens * shape.Kv, limit);
        kernels.Clamp(state.Value, tokens * shape.Kv, limit);
    }

    // What attention gives, times the sigmoid of its gate where there is one.
    private Place Gated(FastPass pass, LayerState state)
    {
        if (!attention.HasGate) return state.Attended;
        var mixed = pass.Memory.Floats(BufferId.Mixed);
        kernels.GateValues(state.Own(BufferId.AttentionGate), state.Attended, pass.Batch.Tokens * (long)shape.Query, mixed);
        return mixed;
    }

    private void NormQueries(FastPass pass, LayerState state, Place query, Place key, long tokens)
    {
        if (attention.QkNorm == QkNorm.Unit)
        {
            var (unit, epsilon) = (Unit(pass), (float)attention.HeadNorm.Epsilon);
            kernels.Norm(state.RawQuery, unit, 0f, epsilon, query, state.QueryInverse, shape.HeadSize, tokens * shape.Heads);
            kernels.Norm(state.RawKey, unit, 0f, epsilon, key, state.KeyInverse, shape.HeadSize, tokens * shape.KvHeads);
            return;
        }
        norms.Forward(layer.QueryNorm!, state.RawQuery, query, state.QueryInverse, shape.QueryNormWidth, tokens * shape.Query / shape.QueryNormWidth);
        norms.Forward(layer.KeyNorm!, state.RawKey, key, state.KeyInverse, shape.KeyNormWidth, tokens * shape.Kv / shape.KeyNormWidth);
    }

    // Weights of one.
    private Place Unit(FastPass pass)
    {
        var unit = pass.Memory.Floats(BufferId.UnitWeight);
        kernels.Fill(unit, shape.HeadSize, 1f);
        return unit;
    }

    // Queries that grow with the position, or their gradients.
    private void Warm(FastPass pass, Place query)
    {
        if (attention.Temperature is not null) kernels.ScaleRows(query, shape.QueryStride, shape.Query, pass.Batch.Temperatures, pass.Batch.Tokens);
    }

    private LayerAttention Operands(LayerState state) =>
        state.Attention(attention.Window, attention.HasSinks ? kernels.Of(layer.Modules.Parameter($"{attention.Path}.sinks")) : default);

    private void Turn(FastPass pass, Place query, Place key, bool inverse)
    {
        var rope = attention.Rope;
        if (rope < 0) return;
        var (batch, half, pairs) = (pass.Batch, config.Ropes[rope].Dimensions / 2, config.Ropes[rope].IsInterleaved);
        kernels.Rotate(query, shape.QueryStride, shape.Heads, batch.Cos(rope), batch.Sin(rope), batch.Positions, half, pairs, inverse, batch.Tokens);
        kernels.Rotate(key, shape.KvStride, shape.KvHeads, batch.Cos(rope), batch.Sin(rope), batch.Positions, half, pairs, inverse, batch.Tokens);
    }
}
