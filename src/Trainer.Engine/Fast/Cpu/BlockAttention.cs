using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>
/// Exact causal attention within segments, forward and backward, in blocks of queries: BLAS products over the keys a block can see, and one pass of our own
/// for the softmax. Grouped heads share their keys in place, a window narrows the range of keys, and there is no mask of any size.
/// </summary>
/// <remarks>
/// Forward a unit of work is one block of queries of one head. Backward it is one key head of one segment with its group of query heads, so that gradients
/// of keys and values are added by one thread alone, in one order.
/// <code>
/// S = s Q K^T (softly capped where the family does so);  P = exp(S - lse);  O = P V
/// dV = P^T dO;  dP = dO V^T;  dS = s P (dP - rowsum(dO O));  dQ = dS K;  dK = dS^T Q
/// </code>
/// </remarks>
internal sealed unsafe class BlockAttention(FastShape shape)
{
    /// <summary>Fills output and log-sums.</summary>
    public void Forward(ProductRoom room, int[] starts, in HostAttention layer)
    {
        var (operands, blocks) = (layer, room.Attention);
        var scratch = room.Memory.Floats(BufferId.Scores);
        var own = new Source(layer.Key, layer.Value, shape.KvStride, 0);
        var units = new AttentionUnits(blocks, starts, shape.Heads, layer.Window);
        TorchThreads.For(0, units.Count, 1, (slot, begin, end) =>
        {
            foreach (var (head, block) in units.Range(begin, end)) ForwardBlock(operands, own, block, starts[^1], head, scratch + slot * blocks.Scratch);
        });
    }

    /// <summary>The same for tokens that continue texts of which some came before.</summary>
    public void Continue(ProductRoom room, int[] starts, in HostAttention layer, HeldTokens[] texts)
    {
        var (operands, blocks) = (layer, room.Attention);
        var scratch = room.Memory.Floats(BufferId.Scores);
        bool IsToken(int text) => starts[text + 1] - starts[text] == 1 && texts[text].Count > 0;
        Source All(int text) => new(HostMemory.At<float>(texts[text].Keys), HostMemory.At<float>(texts[text].Values), shape.Kv, texts[text].Count);
        int[] single = [.. Enumerable.Range(0, texts.Length).Where(IsToken)];
        TorchThreads.For(0, single.Length * (long)shape.KvHeads, 1, (slot, begin, end) =>
        {
            for (var unit = begin; unit < end; unit++)
            {
                var (text, kv) = (single[unit / shape.KvHeads], (int)(unit % shape.KvHeads));
                var all = All(text);
                TokenAttention.Run(shape, operands.From(starts[text], shape), all.Keys, all.Values, all.Held + 1, kv, scratch + slot * blocks.Scratch);
            }
        });
        for (var text = 0; text < texts.Length; text++)
        {
            if (IsToken(text)) continue;
            var (own, all) = (operands.From(starts[text], shape), All(text));
            var units = new AttentionUnits(blocks, [0, starts[text + 1] - starts[text]], shape.Heads, layer.Window, all.Held);
            TorchThreads.For(0, units.Count, 1, (slot, begin, end) =>
            {
                foreach (var (head, block) in units.Range(begin, end)) ForwardBlock(own, all, block, starts[^1], head, scratch + slot * blocks.Scratch);
            });
        }
    }

    /// <summary>Gradients of queries, keys and values from that of the output (T, query width); all targets are overwritten.</summary>
    public void Backward(ProductRoom room, int[] starts, in HostAttention layer, float* gradient, float* dq, float* dk, float* dv)
    {
        var operands = layer;
        TorchThreads.For(0, (starts.Length - 1L) * shape.KvHeads, 1, (slot, begin, end) =>
        {
            for (var unit = begin; unit < end; unit++)
            {
                var (segment, kv) = ((int)(unit / shape.KvHeads), (int)(unit % shape.KvHeads));
                for (long t = starts[segment]; t < starts[segment + 1]; t++)
                {
                    NativeMemory.Clear(dk + t * shape.KvStride + kv * shape.HeadSize, (nuint)shape.HeadSize * sizeof(float));
                    NativeMemory.Clear(dv + t * shape.KvStride + kv * shape.HeadSize, (nuint)shape.HeadSize * sizeof(float));
                }
                for (var g = 0; g < shape.Group; g++) BackwardHead(room, operands, starts, segment, kv, kv * shape.Group + g, gradient, dq, dk, dv, slot);
            }
        });
    }

    // Keys are counted from the first that is held, so query q of the block, counted so too, sees as far as key q.
    private void ForwardBlock(in HostAttention state, Source source, AttentionBlock block, long tokens, int head, float* scores)
    {
        long d = shape.HeadSize;
        var (held, window) = (source.Held, state.Window);
        var (q, count, k, keys) = block;
        var inverse = stackalloc float[count];
        var kv = head / shape.Group;
        var query = state.Query + (q - held) * (long)shape.QueryStride + head * d;
        var key = source.Keys + k * source.Stride + kv * d;
        var value = source.Values + k * source.Stride + kv * d;
        var output = state.Attended + (q - held) * (long)shape.Query + head * d;
        Gemm.TimesTransposed(count, keys, d, (float)shape.AttentionScale, query, shape.QueryStride, key, source.Stride, 0f, scores, keys);
        for (var i = 0; i < count; i++)
        {
            var (first, last) = Visible(q + i, k, window);
            if (shape.ScoreCap is { } cap) SoftCap.Forward(scores + (long)i * keys + first, null, last - first, cap);
            var sum = SoftmaxRow.Forward(scores + (long)i * keys, first, last, keys, out var largest);
            if (state.Sinks != null) sum = WithSink(sum, state.Sinks[head] - largest);
            inverse[i] = 1f / sum;
            state.LogSums[head * tokens + q - held + i] = largest + MathF.Log(sum);
        }
        Gemm.Times(count, d, keys, 1f, scores, keys, value, source.Stride, 0f, output, shape.Query);
        for (var i = 0; i < count; i++)
        {
            var row = output + (long)i * shape.Query;
            for (var x = 0; x < d; x++) row[x] *= inverse[i];
        }
    }

    private void BackwardHead(
        ProductRoom room, in HostAttention state, int[] starts, int segment, int kv, int head, float* gradient, float* dq, float* dk, float* dv, int slot)
    {
        var (blocks, window) = (room.Attention, state.Window);
        float* scores = room.Memory.Floats(BufferId.Scores) + slot * blocks.Scratch,
            scoreGradients = room.Memory.Floats(BufferId.ScoreGradients) + slot * blocks.Scratch;
        var slopes = room.Memory.FloatsOrNull(BufferId.ScoreSlopes) + slot * blocks.Longest;
        long d = shape.HeadSize, tokens = starts[^1];
        var scale = (float)shape.AttentionScale;
        foreach (var (q, count, k, keys) in blocks.Cut(starts[segment], starts[segment], starts[segment + 1], window))
        {
            long rows = q * (long)shape.QueryStride + head * d, flat = q * (long)shape.Query + head * d, shared = k * (long)shape.KvStride + kv * d;
            float* query = state.Query + rows, output = state.Attended + flat, upper = gradient + flat;
            Gemm.TimesTransposed(count, keys, d, scale, query, shape.QueryStride, state.Key + shared, shape.KvStride, 0f, scores, keys);
            Gemm.TimesTransposed(count, keys, d, 1f, upper, shape.Query, state.Value + shared, shape.KvStride, 0f, scoreGradients, keys);
            for (var i = 0; i < count; i++)
            {
                var (first, last) = Visible(q + i, k, window);
                var delta = Arithmetic.Dot(upper + (long)i * shape.Query, output + (long)i * shape.Query, shape.HeadSize);
                float* row = scores + (long)i * keys, rowGradient = scoreGradients + (long)i * keys;
                if (shape.ScoreCap is { } cap) SoftCap.Forward(row + first, slopes, last - first, cap);
                SoftmaxRow.Backward(row, rowGradient, first, last, keys, state.LogSums[head * tokens + q + i], delta, scale);
                if (shape.ScoreCap is not null) Arithmetic.Product(slopes, rowGradient + first, rowGradient + first, 0, last - first);
            }
            Gemm.TransposedTimes(keys, d, count, 1f, scores, keys, upper, shape.Query, 1f, dv + shared, shape.KvStride);
            Gemm.Times(count, d, keys, 1f, scoreGradients, keys, state.Key + shared, shape.KvStride, 0f, dq + rows, shape.QueryStride);
            Gemm.TransposedTimes(keys, d, count, 1f, scoreGradients, keys, query, shape.QueryStride, 1f, dk + shared, shape.KvStride);
        }
    }

    /// <summary>A sum of exponentials with that of a sink, whose score is given less the largest of the others.</summary>
    public static float WithSink(float sum, float above) => (float)Math.Min(sum + Math.Exp(above), float.MaxValue);

    // Columns of a block that a query sees; the block's first column is key `first`.
    private static (int Begin, int End) Visible(int query, int first, int? window)
        => (window is { } width ? Math.Max(0, query - width + 1 - first) : 0, query + 1 - first);

    // Where keys and values of one layer lie: those of the batch itself, or of a whole text of which the batch is the end.
    private readonly struct Source(float* keys, float* values, long stride, int held)
    {
        public float* Keys { get; } = keys;

        public float* Values { get; } = values;

        public long Stride { get; } = stride;

        /// <summary>Tokens before the batch's first.</summary>
        public int Held { get; } = held;
    }
}
