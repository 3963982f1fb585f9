namespace Trainer.Data;

/// <summary>Everything a run trains and evaluates on.</summary>
public sealed class Dataset : IDisposable
{
    private readonly IReadOnlyList<IDisposable> _owned;

    internal Dataset(ExampleSet train, ExampleSet? eval, DataStatistics statistics, DataStatistics? evalStatistics, string hash,
        IReadOnlyList<IDisposable> owned)
    {
        (Train, Eval, Statistics, EvalStatistics, DataHash, _owned) = (train, eval, statistics, evalStatistics, hash, owned);
    }

    /// <summary>Examples to train on.</summary>
    public ExampleSet Train { get; }

    /// <summary>Held-out examples, or null.</summary>
    public ExampleSet? Eval { get; }

    /// <summary>How the training sources were read (before rows were held out of them).</summary>
    public DataStatistics Statistics { get; }

    /// <summary>How the evaluation sources were read, or null where there are none or rows were held out of the training sources.</summary>
    public DataStatistics? EvalStatistics { get; }

    /// <summary>Digest of the bytes of all inputs, for run.json and for resuming.</summary>
    public string DataHash { get; }

    /// <summary>What a user should know of the sources: files that are not read, as sentences.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var each in _owned) each.Dispose();
    }
}
