namespace Trainer.Adapters;

/// <summary>Turns matrices that two formats hold the other way round.</summary>
internal static class MatrixTurn
{
    /// <summary>The transpose [columns, rows] of a row-major matrix [rows, columns].</summary>
    public static float[] Of(float[] values, long rows, long columns)
    {
        var turned = new float[values.Length];
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c];
        return turned;
    }
}
