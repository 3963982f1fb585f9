namespace Trainer.Data.Sources;

/// <summary>Rows of a file from one number (zero-based) up to, not including, another.</summary>
internal readonly record struct RowRange(long From, long To)
{
    public long Count => Math.Max(0, To - From);
}
