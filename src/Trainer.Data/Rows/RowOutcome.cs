namespace Trainer.Data.Rows;

/// <summary>What became of one row.</summary>
internal sealed record RowOutcome(RowSource Source)
{
    public RowKind? Kind { get; init; }

    /// <summary>Why the row was refused, or null.</summary>
    public RowFault? Fault { get; init; }

    /// <summary>The examples: one, or several where the row was split, or none where it was refused.</summary>
    public IReadOnlyList<EncodedRow> Parts { get; init; } = [];

    /// <summary>The refused row as tokens, where tokenizing was reached.</summary>
    public EncodedRow? Refused { get; init; }

    public float Weight { get; init; } = 1;

    /// <summary>Tokens before any cut; 0 where tokenizing was not reached.</summary>
    public int Length { get; init; }

    public bool Truncated { get; init; }

    /// <summary>A completion or assistant turn without text.</summary>
    public bool EmptyAnswer { get; init; }

    /// <summary>Columns left out, and what the chat template leaves out.</summary>
    public IReadOnlyList<string> Ignored { get; init; } = [];

    /// <summary>What was changed so that the template could take the row.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Digest of ids and labels before any cut: equal rows are duplicates.</summary>
    public ulong Fingerprint { get; init; }
}
