namespace Trainer.Engine.Gguf;

/// <summary>The two orders in which the rows of a head lie: halves apart (Hugging Face) and pairs together (llama.cpp's llama architecture).</summary>
public static class RotaryOrder
{
    /// <summary>The row in pairs' order that a row in halves' order became.</summary>
    /// <param name="row">Row of whole heads, halves apart.</param>
    /// <param name="headSize">Rows of one head.</param>
    public static long Interleaved(long row, long headSize)
    {
        var (head, i) = Math.DivRem(row, headSize);
        return head * headSize + (i < headSize / 2 ? 2 * i : 2 * (i - headSize / 2) + 1);
    }

    /// <summary>Rows (head, half, i) to (head, i, half).</summary>
    /// <param name="values">Rows of whole heads, row-major.</param>
    /// <param name="headSize">Rows of one head.</param>
    /// <param name="columns">Columns of the matrix; 1 for a bias.</param>
    public static float[] Interleave(ReadOnlySpan<float> values, int headSize, int columns)
    {
        var moved = new float[values.Length];
        for (var row = 0; row < values.Length / columns; row++)
            values.Slice(row * columns, columns).CopyTo(moved.AsSpan((int)Interleaved(row, headSize) * columns));
        return moved;
    }
}
