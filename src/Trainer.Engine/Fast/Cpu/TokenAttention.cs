using Trainer.Numerics.Dot;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Attention of one token over all that came before: keys and values are read once for the query heads that share them. BLAS takes several times as
/// long for one row.</summary>
internal static unsafe class TokenAttention
{
    /// <summary>Writes the outputs of the query heads of one key head.</summary>
    /// <param name="operands">Queries (query heads, size), turned; this key head's are scaled in place. Outputs (query heads, size).</param>
    /// <param name="keys">(count, key heads, size).</param>
    /// <param name="values">(count, key heads, size).</param>
    /// <param name="count">Tokens, the asking one last.</param>
    /// <param name="kv">The key head.</param>
    /// <param name="scores">Room for (query heads of a key head, count).</param>
    public static void Run(in HostAttention operands, float* keys, float* values, int count, int kv, float* scores)
    {
        var (shape, seen) = (operands.Shape, Seen(operands, count));
        Scale(operands, kv, 1);
        Scores(operands, keys, count, kv, scores, 0, seen);
        for (var g = 0; g < shape.Group; g++) Weights(operands, count, kv * shape.Group + g, scores + (long)g * seen);
        Sums(operands, values, count, kv, scores, 0, shape.HeadSize);
    }

    /// <summary>Tokens that the asking one sees of all.</summary>
    public static int Seen(in HostAttention operands, int count) => operands.Window is { } width ? Math.Min(count, width) : count;

    /// <summary>Scales the queries of some key heads in place: what comes before their scores.</summary>
    public static void Scale(in HostAttention operands, int kv, int heads)
    {
        var (query, scale, wide) = ((IntPtr)operands.Query, (float)operands.Shape.Scale, (long)operands.Shape.Group * operands.Shape.HeadSize);
        for (var i = kv * wide; i < (kv + heads) * wide; i++) ((float*)query)[i] *= scale;
    }

    /// <summary>Scores of a key head's query heads for seen tokens [begin, end): each by itself, whoever computes it.</summary>
    public static void Scores(in HostAttention operands, float* keys, int count, int kv, float* scores, long begin, long end)
    {
        var shape = operands.Shape;
        long d = shape.HeadSize, seen = Seen(operands, count);
        DenseDot.Float(keys + (count - seen) * shape.Kv + kv * d, d, shape.Kv, operands.Query + kv * shape.Group * d, shape.Group, scores, seen, begin, end);
    }

    /// <summary>A query head's scores become weights.</summary>
    public static void Weights(in HostAttention operands, int count, int head, float* row)
    {
        var seen = Seen(operands, count);
        if (operands.Shape.ScoreCap is { } cap) SoftCap.Forward(row, null, seen, cap);
        var sum = SoftmaxRow.Forward(row, 0, seen, seen, out var largest);
        if (operands.Sinks != null) sum = BlockAttention.WithSink(sum, operands.Sinks[head] - largest);
        var inverse = 1f / sum;
        for (var i = 0; i < seen; i++) row[i] *= inverse;
    }

    /// <summary>Weighted sums of a key head's values, elements [begin, end) of a head: each is one chain over the tokens, whoever computes it.</summary>
    public static void Sums(in HostAttention operands, float* values, int count, int kv, float* scores, int begin, int end)
    {
        var shape = operands.Shape;
        long d = shape.HeadSize, seen = Seen(operands, count);
        var at = values + (count - seen) * shape.Kv + kv * d + begin;
        for (var g = 0; g < shape.Group; g++)
            RowSum.Run(at, shape.Kv, scores + g * seen, (int)seen, operands.Attended + (kv * (long)shape.Group + g) * d + begin, end - begin);
    }
}
