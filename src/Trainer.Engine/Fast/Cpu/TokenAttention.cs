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
        var shape = operands.Shape;
        var (d, group) = (shape.HeadSize, shape.Group);
        float* query = operands.Query, output = operands.Attended;
        var first = operands.Window is { } width ? Math.Max(0, count - width) : 0;
        var seen = count - first;
        var mine = (long)kv * group * d;
        for (var i = mine; i < mine + group * d; i++) query[i] *= (float)shape.Scale;
        var at = first * (long)shape.Kv + kv * d;
        DenseDot.Float(keys + at, d, shape.Kv, query + mine, group, scores, seen, 0, seen);
        for (var g = 0; g < group; g++)
        {
            var row = scores + (long)g * seen;
            if (shape.ScoreCap is { } cap) SoftCap.Forward(row, null, seen, cap);
            var sum = SoftmaxRow.Forward(row, 0, seen, seen, out var largest);
            if (operands.Sinks != null) sum = BlockAttention.WithSink(sum, operands.Sinks[kv * group + g] - largest);
            var inverse = 1f / sum;
            for (var i = 0; i < seen; i++) row[i] *= inverse;
            RowSum.Run(values + at, shape.Kv, row, seen, output + mine + g * d, d);
        }
    }
}
