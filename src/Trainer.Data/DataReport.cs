namespace Trainer.Data;

/// <summary>What <c>data check</c> found in a group of files. Lists are capped at <see cref="ListedAtMost"/>, counts are not.</summary>
public sealed record DataReport
{
    /// <summary>Most entries a list of this report has.</summary>
    public const int ListedAtMost = 1000;

    /// <summary>Counts over all rows; rows that would be refused are not among the examples.</summary>
    public required DataStatistics Statistics { get; init; }

    /// <summary>Counts over the rows of held-out files, or null where there are none.</summary>
    public DataStatistics? HeldOut { get; init; }

    /// <summary>What a user should know of the sources: files that are not read, as sentences.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Refused or dropped rows with file, line and reason, in file order.</summary>
    public IReadOnlyList<RowFault> Faults { get; init; } = [];

    /// <summary>How many rows each kind of fault has.</summary>
    public IReadOnlyDictionary<FaultKind, long> FaultCounts { get; init; } = new Dictionary<FaultKind, long>();

    /// <summary>Faults of whole files (empty, unreadable, broken off), as sentences.</summary>
    public IReadOnlyList<string> FileFaults { get; init; } = [];

    /// <summary>Rows equal to an earlier one.</summary>
    public IReadOnlyList<DuplicateRow> Duplicates { get; init; } = [];

    /// <summary>Rows whose answer has no text.</summary>
    public IReadOnlyList<RowSource> EmptyAnswers { get; init; } = [];

    /// <summary>Trained targets as a share of all tokens.</summary>
    public double TrainedShare => Statistics.Tokens == 0 ? 0 : (double)Statistics.TrainedTokens / Statistics.Tokens;

    /// <summary>Whether a run on this data would start: nothing is refused that the options do not drop, and something is left.</summary>
    public bool Usable { get; init; }
}
