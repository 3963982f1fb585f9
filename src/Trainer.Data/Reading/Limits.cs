namespace Trainer.Data.Reading;

/// <summary>Bounds that keep one bad row from taking all memory.</summary>
/// <param name="RowBytes">Longest row in bytes; a longer one is a fault and is skipped without being held.</param>
/// <param name="DocumentChars">A .txt document longer than this is handed on in pieces, cut after a line break.</param>
internal sealed record Limits(int RowBytes = 64 << 20, int DocumentChars = 2 << 20)
{
    public static readonly Limits Default = new();
}
