using System.Runtime.InteropServices;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>The backward pass of <see cref="BlockAttention"/>.</summary>
/// <remarks>
/// <code>
/// P = exp(S - lse);  dV = P^T dO;  dP = dO V^T;  dS = s P (dP - rowsum(dO O));  dQ = dS K;  dK = dS^T Q
/// </code>
/// A unit of work is one block of queries of one head. Gradients of keys and values are sums over the units of a key head: the query heads of its group one
/// after the other, the blocks of each from the first to the last. Where there are key heads for all threads, each goes through its units alone. Where not,
/// as many units as there is room for compute their probabilities and dQ at once, then the keys are cut among the threads and each part adds up the same
/// units in the same order: the bits are those of one thread.
/// </remarks>
internal static unsafe class AttentionGradient
{
    // Key heads a thread from which on nobody waits long for the last one.
    private const int HeadsPerThread = 4;
    private const int PartsPerThread = 4;
    // BLAS sums fewer rows than these in another order.
    private const int LeastKeys = 16;
    private const long ClearFloats = 1 << 14;

    /// <summary>Gradients of queries, keys and values from that of the output (T, query width); all targets are overwritten.</summary>
    public static void Run(ProductRoom room, int[] starts, in HostAttention layer, float* gradient, float* dq, float* dk, float* dv)
    {
        var (state, shape) = (new Operands(layer, gradient, dq, dk, dv, starts[^1]), layer.Shape);
        ComputeThreads.For(0, starts[^1], Math.Max(1, ClearFloats / shape.Kv), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                NativeMemory.Clear(state.KeyGradient + t * shape.KvStride, (nuint)shape.Kv * sizeof(float));
                NativeMemory.Clear(state.ValueGradient + t * shape.KvStride, (nuint)shape.Kv * sizeof(float));
            }
        });
        var heads = (starts.Length - 1L) * shape.KvHeads;
        if (room.Threads == 1 || heads >= (long)HeadsPerThread * room.Threads || !CanCut(room.Attention, layer.Window)) ByHeads(room, starts, state, heads);
        else ByRounds(room, starts, state);
    }

    private static void ByHeads(ProductRoom room, int[] starts, Operands state, long heads) => ComputeThreads.For(0, heads, 1, (slot, begin, end) =>
    {
        var (scratch, shape) = (Scratch(room, slot * room.Attention.Scratch, slot), state.Layer.Shape);
        for (var head = begin; head < end; head++)
        {
            var (segment, kv) = ((int)(head / shape.KvHeads), (int)(head % shape.KvHeads));
            for (var g = 0; g < shape.Group; g++)
            {
                foreach (var block in room.Attention.Cut(starts[segment], starts[segment], starts[segment + 1], state.Layer.Window))
                {
                    Probabilities(state, kv * shape.Group + g, block, scratch);
                    AddKeys(state, kv * shape.Group + g, block, block.Key, block.Key + block.Keys, scratch);
                }
            }
        }
    }, room.Threads);

    private static void ByRounds(ProductRoom room, int[] starts, Operands state)
    {
        var most = room.Attention.Room(room.Threads);
        List<Unit> round = [];
        long taken = 0;
        foreach (var (segment, head, block) in Sequence(room, starts, state.Layer.Shape, state.Layer.Window))
        {
            var size = ThreadScratch.Share((long)block.Count * block.Keys);
            if (taken + size > most)
            {
                Round(room, starts, state, round);
                round.Clear();
                taken = 0;
            }
            round.Add(new(segment, head, block, taken));
            taken += size;
        }
        Round(room, starts, state, round);
    }

    // For each key head its units in the order of their sums; key heads side by side, so that a round has some of each.
    private static IEnumerable<(int Segment, int Head, AttentionBlock Block)> Sequence(ProductRoom room, int[] starts, HeadShape shape, int? window)
    {
        for (var segment = 0; segment + 1 < starts.Length; segment++)
            for (var g = 0; g < shape.Group; g++)
                foreach (var block in room.Attention.Cut(starts[segment], starts[segment], starts[segment + 1], window))
                    for (var kv = 0; kv < shape.KvHeads; kv++) yield return (segment, kv * shape.Group + g, block);
    }

    private static void Round(ProductRoom room, int[] starts, Operands state, List<Unit> round)
    {
        // The largest first: the last ones taken are short.
        var bySize = round.OrderByDescending(unit => (long)unit.Block.Count * unit.Block.Keys).ToArray();
        ComputeThreads.For(0, bySize.Length, 1, (slot, begin, end) =>
        {
            for (var i = begin; i < end; i++)
                Probabilities(state, bySize[i].Head, bySize[i].Block, Scratch(room, bySize[i].Offset, slot));
        }, room.Threads);
        var sums = round.GroupBy(unit => (unit.Segment, Kv: unit.Head / state.Layer.Shape.Group)).Select(group => group.ToArray()).ToArray();
        var keys = sums.Sum(units => (long)starts[units[0].Segment + 1] - starts[units[0].Segment]);
        // Parts end where blocks of queries end, or where these are halved, so that a unit has many keys in a part or none.
        var (step, wanted) = (room.Attention.Queries, keys / (PartsPerThread * room.Threads));
        var part = (int)Math.Max(1, wanted / step) * step;
        for (var least = Step(room.Attention); part > Math.Max(wanted, least);) part /= 2;
        List<(Unit[] Units, int Begin, int End)> parts = [];
        foreach (var units in sums)
        {
            var last = starts[units[0].Segment + 1];
            for (int begin = starts[units[0].Segment], end; begin < last; begin = end)
            {
                end = last - begin - part < LeastKeys ? last : begin + part;
                parts.Add((units, begin, end));
            }
        }
        // First keys are seen by the most queries.
        parts.Sort((a, b) => (a.Begin - starts[a.Units[0].Segment]).CompareTo(b.Begin - starts[b.Units[0].Segment]));
        ComputeThreads.For(0, parts.Count, 1, (slot, first, end) =>
        {
            for (var i = first; i < end; i++)
                foreach (var unit in parts[(int)i].Units)
                    AddKeys(state, unit.Head, unit.Block, parts[(int)i].Begin, parts[(int)i].End, Scratch(room, unit.Offset, slot));
        }, room.Threads);
    }

    // A window begins anywhere: a unit may have a few keys before the end of a part.
    private static bool CanCut(AttentionBlocks blocks, int? window) => window is not { } width || (width - 1) % Step(blocks) is 0 or >= LeastKeys;

    // Queries of a block, halved while that leaves 32 and more: where parts of the keys may end.
    private static int Step(AttentionBlocks blocks)
    {
        var step = blocks.Queries;
        while (step % 2 == 0 && step >= 4 * LeastKeys) step /= 2;
        return step;
    }

    private static Scores Scratch(ProductRoom room, long offset, int slot)
    {
        var slopes = room.Memory.FloatsOrNull(BufferId.ScoreSlopes);
        return new(room.Memory.Floats(BufferId.Scores) + offset, room.Memory.Floats(BufferId.ScoreGradients) + offset,
            slopes == null ? null : slopes + slot * room.Attention.Longest);
    }

    // P, dS and with them dQ.
    private static void Probabilities(in Operands state, int head, AttentionBlock block, Scores scratch)
    {
        var ((q, count, k, keys), shape) = (block, state.Layer.Shape);
        var kv = head / shape.Group;
        long d = shape.HeadSize, rows = q * (long)shape.QueryStride + head * d, flat = q * (long)shape.Query + head * d,
            shared = k * (long)shape.KvStride + kv * d;
        var scale = (float)shape.Scale;
        float* query = state.Layer.Query + rows, output = state.Layer.Attended + flat, upper = state.Gradient + flat;
        Gemm.TimesTransposed(count, keys, d, scale, query, shape.QueryStride, state.Layer.Key + shared, shape.KvStride, 0f, scratch.Values, keys);
        Gemm.TimesTransposed(count, keys, d, 1f, upper, shape.Query, state.Layer.Value + shared, shape.KvStride, 0f, scratch.Gradients, keys);
        for (var i = 0; i < count; i++)
        {
            var (first, last) = BlockAttention.Visible(q + i, k, state.Layer.Window);
            var delta = Arithmetic.Dot(upper + (long)i * shape.Query, output + (long)i * shape.Query, shape.HeadSize);
            float* row = scratch.Values + (long)i * keys, rowGradient = scratch.Gradients + (long)i * keys;
            if (shape.ScoreCap is { } cap) SoftCap.Forward(row + first, scratch.Slopes, last - first, cap);
            SoftmaxRow.Backward(row, rowGradient, first, last, keys, state.Layer.LogSums[head * state.Tokens + q + i], delta, scale);
            if (shape.ScoreCap is not null) Arithmetic.Product(scratch.Slopes, rowGradient + first, rowGradient + first, 0, last - first);
        }
        Gemm.Times(count, d, keys, 1f, scratch.Gradients, keys, state.Layer.Key + shared, shape.KvStride, 0f, state.QueryGradient + rows, shape.QueryStride);
    }

    // What one unit adds to the gradients of those of its keys that lie in [begin, end).
    private static void AddKeys(in Operands state, int head, AttentionBlock block, int begin, int end, Scores scratch)
    {
        var (q, count, k, keys) = block;
        var (first, seen) = (Math.Max(begin, k), Math.Min(end, k + keys) - Math.Max(begin, k));
        if (seen <= 0) return;
        var shape = state.Layer.Shape;
        long d = shape.HeadSize, shared = first * (long)shape.KvStride + head / shape.Group * d;
        float* query = state.Layer.Query + q * (long)shape.QueryStride + head * d, upper = state.Gradient + q * (long)shape.Query + head * d;
        float* values = scratch.Values + (first - k), gradients = scratch.Gradients + (first - k);
        Gemm.TransposedTimes(seen, d, count, 1f, values, keys, upper, shape.Query, 1f, state.ValueGradient + shared, shape.KvStride);
        Gemm.TransposedTimes(seen, d, count, 1f, gradients, keys, query, shape.QueryStride, 1f, state.KeyGradient + shared, shape.KvStride);
    }

    // One block of queries of one head, and where its scores begin in the room of the round.
    private sealed record Unit(int Segment, int Head, AttentionBlock Block, long Offset);

    private readonly struct Scores(float* values, float* gradients, float* slopes)
    {
        public float* Values { get; } = values;

        public float* Gradients { get; } = gradients;

        public float* Slopes { get; } = slopes;
    }

    private readonly struct Operands(HostAttention layer, float* gradient, float* dq, float* dk, float* dv, long tokens)
    {
        public HostAttention Layer { get; } = layer;

        public float* Gradient { get; } = gradient;

        public float* QueryGradient { get; } = dq;

        public float* KeyGradient { get; } = dk;

        public float* ValueGradient { get; } = dv;

        public long Tokens { get; } = tokens;
    }
}
