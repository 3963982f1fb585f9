namespace Trainer.Data.Reading;

/// <summary>One row as a reader found it, before its JSON is parsed (workers do that).</summary>
internal sealed record RawRow(RowSource Source)
{
    /// <summary>The row as a JSON object; empty for documents and faults.</summary>
    public ReadOnlyMemory<byte> Json { get; init; }

    /// <summary>Byte column at which <see cref="Json"/> begins in its first line, zero-based.</summary>
    public long ColumnOffset { get; init; }

    /// <summary>A document of a .txt file, or null.</summary>
    public string? Document { get; init; }

    /// <summary>The document began in an earlier row (a piece of a very long one), so it gets no beginning-of-text token.</summary>
    public bool ContinuesBefore { get; init; }

    /// <summary>The document goes on in the next row, so it gets no end-of-text token.</summary>
    public bool ContinuesAfter { get; init; }

    /// <summary>Every value is text (CSV), so numbers and lists are read out of strings.</summary>
    public bool Textual { get; init; }

    /// <summary>The row could not be read at all.</summary>
    public RowFault? Fault { get; init; }

    /// <summary>A row that is only a fault.</summary>
    public static RawRow Bad(string file, long line, long column, string reason, string wayOut = "") =>
        new(new RowSource(file, line)) { Fault = new RowFault(new RowSource(file, line), column, FaultKind.Malformed, reason, wayOut) };
}
