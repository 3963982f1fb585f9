namespace Trainer.Data;

/// <summary>Which tokens of a row carry loss.</summary>
public enum TrainOn
{
    /// <summary>Chosen by the kind of row: assistant for chats, completion for prompt/completion, all for text.</summary>
    Auto,
    /// <summary>Every assistant turn, its end-of-turn token included.</summary>
    Assistant,
    /// <summary>The completion of a prompt/completion row.</summary>
    Completion,
    /// <summary>Every token.</summary>
    All,
    /// <summary>The last assistant turn alone.</summary>
    Last,
}

/// <summary>What happens to the reasoning before answers.</summary>
public enum Reasoning
{
    /// <summary>It is trained as the row has it; a row whose template leaves some of it out is refused.</summary>
    Keep,
    /// <summary>Only that of the turns behind the last question is kept.</summary>
    Last,
    /// <summary>It is taken out of every turn.</summary>
    Strip,
}

/// <summary>What happens to a row longer than the sequence length.</summary>
public enum OnTooLong
{
    /// <summary>The run is refused, with counts and a histogram.</summary>
    Error,
    /// <summary>The row is left out and counted.</summary>
    Drop,
    /// <summary>The row is cut at the end, never inside the last trained turn.</summary>
    Truncate,
    /// <summary>A text row is split into several.</summary>
    Split,
}

/// <summary>What happens to a row that cannot be used.</summary>
public enum OnBadRow
{
    /// <summary>The run is refused, naming the row.</summary>
    Error,
    /// <summary>The row is left out and counted.</summary>
    Drop,
}

/// <summary>One data file or folder of the command line or recipe.</summary>
/// <param name="Path">File or folder.</param>
/// <param name="Weight">Relative share when several sources are mixed; 1 takes each row once an epoch.</param>
/// <param name="Columns">
/// Our column names to the file's (<c>prompt: question</c>), or null to detect by columns. Two names are special: <c>ignore</c> lists columns
/// to leave out (parted by commas or plus signs, <c>*</c> for every other column).
/// </param>
public sealed record DataSource(string Path, double Weight = 1, IReadOnlyDictionary<string, string>? Columns = null)
{
    /// <summary>A part of it as the datasets library writes it (<c>train[:10%]</c>, <c>[100:200]</c>), or null for the split that its use asks for.</summary>
    public string? Split { get; init; }

    /// <summary>Refuses what is no <see cref="Split"/>.</summary>
    /// <param name="split">What a user wrote.</param>
    /// <exception cref="DataException">It is none.</exception>
    public static void CheckSplit(string split) => Sources.SplitExpression.Parse(split);

    /// <summary>A subset of a data set of the hub, or a name in LLaMA-Factory's dataset_info.json; null for the default.</summary>
    public string? Subset { get; init; }

    /// <summary>What the user calls it where that is the name of a data set of the hub; <see cref="Path"/> is its folder in the cache.</summary>
    public string? Name { get; init; }
}

/// <summary>How text becomes examples.</summary>
public sealed record DataOptions
{
    /// <summary>Training sources, in order.</summary>
    public IReadOnlyList<DataSource> Train { get; init; } = [];

    /// <summary>Held-out sources; empty means <see cref="EvalSplit"/> or a folder's own valid split.</summary>
    public IReadOnlyList<DataSource> Eval { get; init; } = [];

    /// <summary>Share (below 1) or count of training rows held out where no evaluation data is named; 0 holds out none.</summary>
    public double EvalSplit { get; init; }

    /// <summary>What rows are read for.</summary>
    public RowPurpose Purpose { get; init; }

    /// <summary>Most rows taken of each training source, the first ones; null takes all.</summary>
    public int? MaxSamples { get; init; }

    /// <summary>Most rows taken of each held-out source, the first ones; null takes all.</summary>
    public int? MaxEvalSamples { get; init; }

    /// <summary>Longest row in tokens; of a preference row, longest prompt with one answer.</summary>
    public int MaxSeqLength { get; init; } = 2048;

    /// <summary>What happens to a longer row.</summary>
    public OnTooLong OnTooLong { get; init; } = OnTooLong.Error;

    /// <summary>Which tokens are trained.</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Auto;

    /// <summary>A Jinja file that replaces the model's chat template, or null.</summary>
    public string? ChatTemplateFile { get; init; }

    /// <summary>What happens to the reasoning before answers.</summary>
    public Reasoning Reasoning { get; init; } = Reasoning.Keep;

    /// <summary>Variables of the chat template by name, each as JSON (<c>enable_thinking</c>: <c>false</c>); a row's own win over them.</summary>
    public IReadOnlyDictionary<string, string> TemplateVariables { get; init; } = new Dictionary<string, string>();

    /// <summary>What a chat template may leave out of a trained turn without its row being refused: content, reasoning, tool_calls.</summary>
    public IReadOnlyList<string> AllowDropped { get; init; } = [];

    /// <summary>Leave out rows that would train on nothing instead of refusing the run.</summary>
    public bool DropEmpty { get; init; }

    /// <summary>Permit trained turns that do not end with a trained end-of-turn token.</summary>
    public bool AllowMissingEos { get; init; }

    /// <summary>What happens to a malformed row, or one with two beginning-of-text tokens.</summary>
    public OnBadRow OnBadRow { get; init; } = OnBadRow.Error;

    /// <summary>With <see cref="OnTooLong.Truncate"/>: cut even inside the last trained turn.</summary>
    public bool TruncateAnswers { get; init; }

    /// <summary>Where tokenized data is cached; null disables the cache.</summary>
    public string? CacheDirectory { get; init; }
}
