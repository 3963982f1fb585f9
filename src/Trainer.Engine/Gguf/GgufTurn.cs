namespace Trainer.Engine.Gguf;

/// <summary>Blocks of rows that lie transposed.</summary>
internal static class GgufTurn
{
    /// <summary>Each block of rows [rows, columns] as [columns, rows].</summary>
    /// <param name="values">Whole blocks.</param>
    /// <param name="rows">Rows of a block.</param>
    /// <param name="columns">Columns.</param>
    public static float[] Blocks(ReadOnlySpan<float> values, int rows, int columns)
    {
        var turned = new float[values.Length];
        for (var begin = 0; begin < values.Length; begin += rows * columns)
            for (var row = 0; row < rows; row++)
                for (var column = 0; column < columns; column++) turned[begin + column * rows + row] = values[begin + row * columns + column];
        return turned;
    }
}
