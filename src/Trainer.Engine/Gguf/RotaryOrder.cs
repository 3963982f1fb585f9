namespace Trainer.Engine;

/// <summary>The two orders in which the rows of a head lie: halves apart (Hugging Face) and pairs together (llama.cpp's llama architecture).</summary>
public static class RotaryOrder
{
    /// <summary>Rows (head, half, i) to (head, i, half).</summary>
    /// <param name="values">Rows of whole heads, row-major.</param>
    /// <param name="headSize">Rows of one head.</param>
    /// <param name="columns">Columns of the matrix; 1 for a bias.</param>
    public static float[] Interleave(ReadOnlySpan<float> values, int headSize, int columns)
    {
        var moved = new float[values.Length];
        var half = headSize / 2;
        for (var row = 0; row < values.Length / columns; row++)
        {
            var (head, i) = (row / headSize, row % headSize);
            values.Slice(row * columns, columns).CopyTo(moved.AsSpan((head * headSize + (i < half ? 2 * i : 2 * (i - half) + 1)) * columns));
        }
        return moved;
    }
}
