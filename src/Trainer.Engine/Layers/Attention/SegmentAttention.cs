using TorchSharp;
using Trainer.Engine.Generation;
using Trainer.Engine.Reference;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Attention;

/// <summary>
/// Causal attention within each segment of a flat batch. Queries [T, heads, size], keys [T, kv heads, size] and values [T, kv heads, value size]; output
/// [T, heads x value size]. Neighbouring segments of equal length are one batch; a window, a block, a soft cap or sinks take an explicit mask.
/// </summary>
internal static class SegmentAttention
{
    /// <param name="shape">The attention.</param>
    /// <param name="layer">Whose keys and values the cache holds.</param>
    /// <param name="context">The batch.</param>
    /// <param name="query">[T, heads, size].</param>
    /// <param name="key">[T, kv heads, size].</param>
    /// <param name="value">[T, kv heads, value size].</param>
    /// <param name="sinks">A score for each head [heads] that takes its share of the softmax and gives nothing, or null.</param>
    public static Tensor Apply(AttentionShape shape, int layer, BatchContext context, Tensor query, Tensor key, Tensor value, Tensor? sinks)
    {
        if (context.Caches is not null)
            return BySegment(context, (cache, start, count) =>
            {
                var (keys, values) = cache.Append(layer, key.narrow(0, start, count), value.narrow(0, start, count));
                return WithCache(shape, query.narrow(0, start, count), keys, values, sinks);
            });
        var parts = new List<Tensor>(context.Runs.Count);
        foreach (var (start, count, length) in context.Runs)
        {
            var tokens = (long)count * length;
            Tensor Split(Tensor x) => x.narrow(0, start, tokens).view(count, length, x.shape[1], x.shape[2]).transpose(1, 2); // [count, heads, length, size]
            var isExplicit = shape.IsLimited(length) || shape.SoftCap is not null || sinks is not null;
            var output = Scores(shape, Split(query), Split(key), Split(value), isExplicit ? context.Mask(length, shape.Window, shape.Chunk) : null, sinks,
                causal: !isExplicit);
            parts.Add(output.transpose(1, 2).reshape(tokens, shape.Heads * value.shape[2]));
        }
        return parts.Count == 1 ? parts[0] : cat(parts, 0);
    }

    /// <summary>The same with the keys and values that an earlier layer has put into the caches or, where there are none, has shared.</summary>
    public static Tensor Borrow(AttentionShape shape, int source, BatchContext context, Tensor query, Func<(Tensor Key, Tensor Value)> shared)
    {
        if (context.Caches is null)
        {
            var (key, value) = shared();
            return Apply(shape, source, context, query, key, value, null);
        }
        return BySegment(context, (cache, start, count) =>
        {
            var (keys, values) = cache.Read(source);
            return WithCache(shape, query.narrow(0, start, count), keys, values, null);
        });
    }

    // Each text has as many keys as it has tokens.
    private static Tensor BySegment(BatchContext context, Func<KvCache, int, int, Tensor> attend)
    {
        var (caches, starts) = (context.Caches!, context.Batch.SegmentStarts);
        Tensor[] parts = [.. caches.Select((cache, s) => attend(cache, starts[s], starts[s + 1] - starts[s]))];
        return parts.Length == 1 ? parts[0] : cat(parts, 0);
    }

    // keys and values [all, kv heads, size].
    private static Tensor WithCache(AttentionShape shape, Tensor query, Tensor keys, Tensor values, Tensor? sinks)
    {
        var (asked, known) = ((int)query.shape[0], (int)keys.shape[0]);
        static Tensor Lift(Tensor x) => x.unsqueeze(0).transpose(1, 2);
        var mask = asked == 1 && !shape.IsLimited(known) ? null : BatchContext.BandMask(asked, known, shape.Window, shape.Chunk, query.device);
        var output = Scores(shape, Lift(query), Lift(keys), Lift(values), mask, sinks, causal: false);
        return output.transpose(1, 2).reshape(asked, shape.Heads * values.shape[2]);
    }

    private static Tensor Scores(AttentionShape shape, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor? sinks, bool causal)
    {
        var group = shape.Heads / shape.KvHeads;
        if (group > 1) (key, value) = (Repeat(key, group), Repeat(value, group));
        if (shape.SoftCap is not null || sinks is not null)
        {
            var scores = query.matmul(key.transpose(2, 3)) * shape.Scale;
            if (shape.SoftCap is { } cap) scores = (scores / cap).tanh() * cap;
            if (mask is not null) scores = scores.masked_fill(mask.logical_not(), float.NegativeInfinity);
            if (sinks is null) return scores.softmax(-1).matmul(value);
            var beside = sinks.view(1, shape.Heads, 1, 1).expand(scores.shape[0], shape.Heads, scores.shape[2], 1);
            return cat([scores, beside], -1).softmax(-1).narrow(-1, 0, scores.shape[3]).matmul(value);
        }
        // The operator divides by the square root of the head size.
        var correction = shape.Scale * Math.Sqrt(query.shape[3]);
        if (Math.Abs(correction - 1) > 1e-12) query = query * correction;
        return nn.functional.scaled_dot_product_attention(query, key, value, mask, 0.0, causal);
    }

    // Each key head serves a group of neighbouring query heads.
    private static Tensor Repeat(Tensor x, int group)
    {
        var (batch, heads, length, size) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
        return x.unsqueeze(2).expand(batch, heads, group, length, size).reshape(batch, heads * group, length, size);
    }
}
