namespace Trainer.Engine.Fast.Layout;

/// <summary>Scratch that is cut into shares of equal size: BLAS may add up in an order that hangs on where its operands begin within a cache line, so every
/// share begins where one does, whoever takes it.</summary>
internal static class ThreadScratch
{
    private const long LineFloats = Arena.Alignment / sizeof(float);

    /// <summary>Floats of a share for so many.</summary>
    public static long Share(long floats) => (floats + LineFloats - 1) / LineFloats * LineFloats;
}
