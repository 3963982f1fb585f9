using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>
/// Causal attention within each segment of a flat batch. Queries [T, heads, size], keys and values [T, kv heads, size]; output [T, heads x size].
/// Neighbouring segments of equal length are one batch; a window or a soft cap takes an explicit mask.
/// </summary>
internal static class SegmentAttention
{
    public static Tensor Apply(ModelConfig config, DecoderLayer layer, BatchContext context, Tensor query, Tensor key, Tensor value)
    {
        var window = layer.Config.SlidingWindow ?? int.MaxValue;
        if (context.Cache is { } cache) return WithCache(config, layer, window, cache, query, key, value);
        var parts = new List<Tensor>(context.Runs.Count);
        foreach (var (start, count, length) in context.Runs)
        {
            var tokens = (long)count * length;
            Tensor Split(Tensor x) => x.narrow(0, start, tokens).view(count, length, x.shape[1], x.shape[2]).transpose(1, 2); // [count, heads, length, size]
            var mask = window < length ? context.Mask(length, window) : null;
            var output = Attend(config, Split(query), Split(key), Split(value), mask, length, context);
            parts.Add(output.transpose(1, 2).reshape(tokens, config.Heads * config.HeadSize));
        }
        return parts.Count == 1 ? parts[0] : cat(parts, 0);
    }

    private static Tensor WithCache(ModelConfig config, DecoderLayer layer, int window, KvCache cache, Tensor query, Tensor key, Tensor value)
    {
        var (keys, values) = cache.Append(layer.Index, key, value); // [all, kv heads, size]
        var (asked, known) = ((int)query.shape[0], (int)keys.shape[0]);
        static Tensor Lift(Tensor x) => x.unsqueeze(0).transpose(1, 2);
        var mask = asked == 1 && window >= known ? null : BatchContext.BandMask(asked, known, window, query.device);
        var output = Scores(config, Lift(query), Lift(keys), Lift(values), mask, causal: false);
        return output.transpose(1, 2).reshape(asked, config.Heads * config.HeadSize);
    }

    private static Tensor Attend(ModelConfig config, Tensor query, Tensor key, Tensor value, Tensor? mask, int length, BatchContext context)
    {
        // A soft cap is applied to the scores themselves, so the mask must be there in full.
        if (config.AttentionSoftCap is not null) mask ??= context.Mask(length, int.MaxValue);
        return Scores(config, query, key, value, mask, causal: mask is null);
    }

    private static Tensor Scores(ModelConfig config, Tensor query, Tensor key, Tensor value, Tensor? mask, bool causal)
    {
        var group = config.Heads / config.KvHeads;
        if (group > 1) (key, value) = (Repeat(key, group), Repeat(value, group));
        if (config.AttentionSoftCap is { } cap)
        {
            var scores = query.matmul(key.transpose(2, 3)) * config.AttentionScale;
            scores = (scores / cap).tanh() * cap;
            if (mask is not null) scores = scores.masked_fill(mask.logical_not(), float.NegativeInfinity);
            return scores.softmax(-1).matmul(value);
        }
        // The operator divides by the square root of the head size.
        var correction = config.AttentionScale * Math.Sqrt(config.HeadSize);
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
