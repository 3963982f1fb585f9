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
    // Floats of a key head's keys that are read in some ten microseconds.
    private const long CutFloats = 1 << 15;
    private const long CutTokensOfBlock = 256;
    // A cache line of a value.
    private const int SliceFloats = 16;

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
        Source All(int text) => Held(shape, texts[text]);
        int[] single = [.. Enumerable.Range(0, texts.Length).Where(IsToken)];
        if (single.Length > 0 && IsCut(room, operands, [.. single.Select(text => texts[text].Count + 1)])) CutTokens(room, operands, starts, texts, single);
        else
        {
            ComputeThreads.For(0, single.Length * (long)shape.KvHeads, 1, (slot, begin, end) =>
            {
                for (var unit = begin; unit < end; unit++)
                {
                    var (text, kv) = (single[unit / shape.KvHeads], (int)(unit % shape.KvHeads));
                    var all = All(text);
                    TokenAttention.Run(operands.From(starts[text]), all.Keys, all.Values, all.Held + 1, kv, scratch + slot * blocks.Scratch);
                }
            }, room.Threads);
        }
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

    // Key heads alone do not feed the threads, and each has enough to read that two more loops cost less than the others' waiting.
    private static bool IsCut(ProductRoom room, in HostAttention layer, int[] counts)
    {
        long seen = 0;
        foreach (var count in counts) seen = Math.Max(seen, TokenAttention.Seen(layer, count));
        return (long)counts.Length * layer.Shape.KvHeads < room.Threads && seen * layer.Shape.HeadSize >= CutFloats;
    }

    // First blocks of tokens of each key head's scores, then the rows of weights of each query head, then slices of each head's sums. A text's key head has its
    // scores where a thread would have them: there are more threads than these.
    private static void CutTokens(ProductRoom room, HostAttention layer, int[] starts, HeldTokens[] texts, int[] single)
    {
        var (shape, heads, stride) = (layer.Shape, layer.Shape.KvHeads, room.Attention.Scratch);
        var scratch = room.Memory.Floats(BufferId.Scores);
        var most = single.Max(text => TokenAttention.Seen(layer, texts[text].Count + 1));
        long blocks = (most + CutTokensOfBlock - 1) / CutTokensOfBlock, units = (long)single.Length * heads;
        var slice = (int)Math.Max(SliceFloats, shape.HeadSize * units / (2 * room.Threads) / SliceFloats * SliceFloats);
        var slices = (shape.HeadSize + slice - 1) / slice;
        foreach (var text in single) TokenAttention.Scale(layer.From(starts[text]), 0, heads);
        ComputeThreads.For(0, units * blocks, 1, (_, begin, end) =>
        {
            for (var i = begin; i < end; i++)
            {
                var (unit, first) = (i / blocks, i % blocks * CutTokensOfBlock);
                var text = single[unit / heads];
                var (own, all) = (layer.From(starts[text]), Held(shape, texts[text]));
                var seen = TokenAttention.Seen(layer, all.Held + 1);
                if (first < seen)
                    TokenAttention.Scores(own, all.Keys, all.Held + 1, (int)(unit % heads), scratch + unit * stride, first,
                        Math.Min(seen, first + CutTokensOfBlock));
            }
        }, room.Threads);
        ComputeThreads.For(0, (long)single.Length * shape.Heads, 1, (_, begin, end) =>
        {
            for (var i = begin; i < end; i++)
            {
                var (index, head) = (i / shape.Heads, (int)(i % shape.Heads));
                var text = single[index];
                var count = texts[text].Count + 1;
                TokenAttention.Weights(layer.From(starts[text]), count, head, scratch + (index * heads + head / shape.Group) * stride
                    + head % shape.Group * (long)TokenAttention.Seen(layer, count));
            }
        }, room.Threads);
        ComputeThreads.For(0, units * slices, 1, (_, begin, end) =>
        {
            for (var i = begin; i < end; i++)
            {
                var (unit, first) = (i / slices, (int)(i % slices) * slice);
                var text = single[unit / heads];
                var all = Held(shape, texts[text]);
                TokenAttention.Sums(layer.From(starts[text]), all.Values, all.Held + 1, (int)(unit % heads), scratch + unit * stride, first,
                    Math.Min(shape.HeadSize, first + slice));
            }
        }, room.Threads);
    }

    private static Source Held(HeadShape shape, HeldTokens text)
        => new(HostMemory.At<float>(text.Keys), HostMemory.At<float>(text.Values), shape.Kv, text.Count);

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
