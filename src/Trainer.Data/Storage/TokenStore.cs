namespace Trainer.Data.Storage;

/// <summary>All examples of a group of files, with the statistics of their making.</summary>
internal abstract class TokenStore(int count, DataStatistics statistics) : IDisposable
{
    /// <summary>How many examples.</summary>
    public int Count { get; } = count;

    public DataStatistics Statistics { get; } = statistics;

    /// <summary>What is known of an example. Safe to call from several threads.</summary>
    public abstract RowRecord Record(int row);

    /// <summary>The records of all examples, in order; cheaper than one by one.</summary>
    public abstract IEnumerable<RowRecord> Records();

    /// <summary>Copies the tokens of an example out. Safe to call from several threads.</summary>
    public abstract (int[] Ids, int[] Labels) Read(RowRecord record);

    public virtual void Dispose() { }
}
