using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>
/// Exact causal attention within segments in blocks of queries: BLAS products over the keys a block can see, and one pass of our own for the softmax.
/// Grouped heads share their keys in place, a window narrows the range of keys, and there is no mask of any size. Its backward pass is
/// <see cref="AttentionGradient"/>.
/// </summary>
/// <remarks>
/// A unit of work is one block of queries of one head.
/// <code>
/// S = s Q K^T (softly capped where the family does so);  P = exp(S - max);  O = P V / rowsum(P)
/// </code>
/// </remarks>
internal static unsafe class BlockAttention
{
    /// <summary>Fills output and log-sums.</summary>
    public static void Forward(ProductRoom room, int[] starts, in HostAttention layer)
    {
        var (operands, blocks, shape) = (layer, room.Attention, layer.Shape);
        var scratch = room.Memory.Floats(BufferId.Scores);
        var own = new Source(layer.Key, layer.Value, shape.KvStride, 0);
        var units = new AttentionUnits(blocks, starts, shape.Heads, layer.Window);
        ComputeThreads.For(0, units.Count, 1, (slot, begin, end) =>
        {
            foreach (var (head, block) in units.Range(begin, end)) ForwardBlock(operands, own, block, starts[^1], head, scratch + slot * blocks.Scratch);
        }, room.Threads);
    }

    /// <summary>The same for tokens that continue texts of which some came before.</summary>
    public static void Continue(ProductRoom room, int[] starts, in HostAttention layer, HeldTokens[] texts)
    {
        var (operands, blocks, shape) = (layer, room.Attention, layer.Shape);
        var scratch = room.Memory.Floats(BufferId.Scores);
        bool IsToken(int text) => starts[text + 1] - starts[text] == 1 && texts[text].Count > 0;
        Source All(int text) => new(HostMemory.At<float>(texts[text].Keys), HostMemory.At<float>(texts[text].Values), shape.Kv, texts[text].Count);
        int[] single = [.. Enumerable.Range(0, texts.Length).Where(IsToken)];
        ComputeThreads.For(0, single.Length * (long)shape.KvHeads, 1, (slot, begin, end) =>
        {
            for (var unit = begin; unit < end; unit++)
            {
                var (text, kv) = (single[unit / shape.KvHeads], (int)(unit % shape.KvHeads));
                var all = All(text);
                TokenAttention.Run(operands.From(starts[text]), all.Keys, all.Values, all.Held + 1, kv, scratch + slot * blocks.Scratch);
            }
        }, room.Threads);
        for (var text = 0; text < texts.Length; text++)
        {
            if (IsToken(text)) continue;
            var (own, all) = (operands.From(starts[text]), All(text));
            var units = new AttentionUnits(blocks, [0, starts[text + 1] - starts[text]], shape.Heads, layer.Window, all.Held);
            ComputeThreads.For(0, units.Count, 1, (slot, begin, end) =>
            {
                foreach (var (head, block) in units.Range(begin, end)) ForwardBlock(own, all, block, starts[^1], head, scratch + slot * blocks.Scratch);
            }, room.Threads);
        }
    }

    // Keys are counted from the first that is held, so query q of the block, counted so too, sees as far as key q.
    private static void ForwardBlock(in HostAttention state, Source source, AttentionBlock block, long tokens, int head, float* scores)
    {
        var shape = state.Shape;
        long d = shape.HeadSize;
        var (held, window) = (source.Held, state.Window);
        var (q, count, k, keys) = block;
        var inverse = stackalloc float[count];
        var kv = head / shape.Group;
        var query = state.Query + (q - held) * (long)shape.QueryStride + head * d;
        var key = source.Keys + k * source.Stride + kv * d;
        var value = source.Values + k * source.Stride + kv * d;
        var output = state.Attended + (q - held) * (long)shape.Query + head * d;
        Gemm.TimesTransposed(count, keys, d, (float)shape.Scale, query, shape.QueryStride, key, source.Stride, 0f, scores, keys);
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

    /// <summary>A sum of exponentials with that of a sink, whose score is given less the largest of the others.</summary>
    public static float WithSink(float sum, float above) => (float)Math.Min(sum + Math.Exp(above), float.MaxValue);

    /// <summary>Columns of a block that a query sees; the block's first column is key <paramref name="first"/>.</summary>
    public static (int Begin, int End) Visible(int query, int first, int? window)
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
