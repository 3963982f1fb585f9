using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Models;

namespace Trainer.Engine.Weights;

/// <summary>Compares a matrix with a copy of it in another file.</summary>
public static unsafe class WeightCopies
{
    // One rounding to bfloat16, in which the copy or the base may have been stored.
    private const float Rounding = 1f / 256;

    /// <summary>Whether a stored tensor holds a loaded matrix's values, up to one rounding of them.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="file">The file with the copy.</param>
    /// <param name="entry">The copy, of the matrix's shape.</param>
    /// <exception cref="ModelException">The copy is of no float type, or holds NaN or infinity.</exception>
    public static bool AreEqual(IFrozenWeight weight, SafetensorsFile file, SafetensorsEntry entry)
        => AreEqual([weight.Rows, weight.Columns], (begin, values) =>
    {
        fixed (float* output = values) weight.Materialize(begin / weight.Columns, values.Length / weight.Columns, output);
    }, file, entry);

    /// <summary>The same for a matrix that is read a few rows at a time.</summary>
    /// <param name="shape">Rows and columns of the matrix.</param>
    /// <param name="read">Reads whole rows of it.</param>
    /// <param name="file">The file with the copy.</param>
    /// <param name="entry">The copy, of the matrix's shape.</param>
    /// <exception cref="ModelException">The copy is of no float type, or holds NaN or infinity.</exception>
    public static bool AreEqual(long[] shape, WeightReader read, SafetensorsFile file, SafetensorsEntry entry)
    {
        var (rows, columns) = (shape[0], shape[1]);
        var step = Math.Clamp((1 << 20) / columns, 1, rows);
        float[] stored = new float[step * columns], ours = new float[stored.Length];
        for (long begin = 0; begin < rows; begin += step)
        {
            var count = (int)(Math.Min(step, rows - begin) * columns);
            read(begin * columns, ours.AsSpan(0, count));
            StoredValues.Read(file, entry, begin * columns, stored.AsSpan(0, count));
            for (var i = 0; i < count; i++)
                if (MathF.Abs(stored[i] - ours[i]) > Rounding * MathF.Abs(ours[i])) return false;
        }
        return true;
    }
}
