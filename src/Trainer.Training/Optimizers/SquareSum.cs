using Trainer.Engine.Native;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>The sum of squares of many values on all threads: blocks of one fixed size, each summed from its first element on in double, then the blocks in
/// their order. So it does not depend on the number of threads.</summary>
internal static class SquareSum
{
    /// <summary>Elements of a block.</summary>
    public const int Block = 1 << 16;

    /// <summary>The sum; NaN or infinite where an element is.</summary>
    /// <param name="values">The values.</param>
    public static double Of(ReadOnlyLongSpan<float> values)
    {
        var parts = new double[(values.Length + Block - 1) / Block];
        ComputeThreads.ForBlocks(values, Block, (block, index) =>
        {
            double sum = 0;
            foreach (var value in block) sum += (double)value * value;
            parts[index] = sum;
        });
        return parts.Sum();
    }
}
