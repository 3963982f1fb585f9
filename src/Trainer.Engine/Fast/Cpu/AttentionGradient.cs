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
internal sealed unsafe class AttentionGradient
{
    // Key heads a thread from which on nobody waits long for the last one.
    private const int HeadsPerThread = 4;
    private const long ClearFloats = 1 << 14;

    private readonly List<AttentionRounds> _rounds = [];

    /// <summary>Gradients of queries, keys and values from that of the output (T, query width); all targets are overwritten.</summary>
    public void Run(ProductRoom room, int[] starts, in HostAttention layer, float* gradient, float* dq, float* dk, float* dv)
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
        if (room.Threads > 1 && heads < (long)HeadsPerThread * room.Threads && AttentionRounds.CanCut(room.Attention, layer.Window))
            ByRounds(room, starts, state);
        else ByHeads(room, starts, state, heads);
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

    private void ByRounds(ProductRoom room, int[] starts, Operands state)
    {
        foreach (var round in Rounds(room, starts, state.Layer).All)
        {
            ComputeThreads.For(0, round.Units.Count, 1, (slot, begin, end) =>
            {
                for (var i = (int)begin; i < end; i++)
                    Probabilities(state, round.Units[i].Head, round.Units[i].Block, Scratch(room, round.Units[i].Offset, slot));
            }, room.Threads);
            ComputeThreads.For(0, round.Parts.Count, 1, (slot, first, end) =>
            {
                for (var i = (int)first; i < end; i++)
                    foreach (var unit in round.Parts[i].Units)
                        AddKeys(state, unit.Head, unit.Block, round.Parts[i].Begin, round.Parts[i].End, Scratch(room, unit.Offset, slot));
            }, room.Threads);
        }
    }

    // A pass asks for the same ones in each of its layers that see alike.
    private AttentionRounds Rounds(ProductRoom room, int[] starts, in HostAttention layer)
    {
        var (shape, window) = (layer.Shape, layer.Window);
        _rounds.RemoveAll(rounds => !rounds.Serve(room.Attention, room.Threads, starts));
        if (_rounds.Find(rounds => rounds.Window == window && rounds.Shape == shape) is { } known) return known;
        var made = new AttentionRounds(shape, room.Attention, room.Threads, starts, window);
        _rounds.Add(made);
        return made;
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
