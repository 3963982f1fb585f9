namespace Trainer.Data;

/// <summary>What was read, left out and made of a group of files; goes to the log and to run.json.</summary>
public sealed record DataStatistics
{
    /// <summary>The files, in order.</summary>
    public IReadOnlyList<FileStatistics> Files { get; init; } = [];

    /// <summary>Rows read.</summary>
    public long Rows { get; init; }

    /// <summary>Examples made of them.</summary>
    public long Examples { get; init; }

    /// <summary>The answers of preference data.</summary>
    public AnswerCounts Answers { get; init; } = new();

    /// <summary>Tokens of all examples.</summary>
    public long Tokens { get; init; }

    /// <summary>Targets that carry loss.</summary>
    public long TrainedTokens { get; init; }

    /// <summary>Tokens of the longest example.</summary>
    public int LongestExample { get; init; }

    /// <summary>Rows left out, by reason.</summary>
    public IReadOnlyDictionary<FaultKind, long> Dropped { get; init; } = new Dictionary<FaultKind, long>();

    /// <summary>Rows cut at the end.</summary>
    public long TruncatedRows { get; init; }

    /// <summary>Rows laid out in several examples.</summary>
    public long SplitRows { get; init; }

    /// <summary>Rows whose answer has no text.</summary>
    public long EmptyAnswers { get; init; }

    /// <summary>Rows whose tokens and labels equal an earlier row's.</summary>
    public long Duplicates { get; init; }

    /// <summary>Columns left out and what the chat template leaves out, and in how many rows.</summary>
    public IReadOnlyDictionary<string, long> IgnoredColumns { get; init; } = new Dictionary<string, long>();

    /// <summary>What was changed so that the chat template could take rows, and in how many.</summary>
    public IReadOnlyDictionary<string, long> Notes { get; init; } = new Dictionary<string, long>();

    /// <summary>Lengths of rows before any cut.</summary>
    public IReadOnlyList<LengthBucket> Lengths { get; init; } = [];

    /// <summary>Whether the tokens came from the cache.</summary>
    public bool FromCache { get; init; }
}
