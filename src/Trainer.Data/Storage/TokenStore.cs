namespace Trainer.Data.Storage;

/// <summary>All examples of a group of files, with the statistics of their making.</summary>
internal abstract class TokenStore(RowIndex index, DataStatistics statistics) : IDisposable
{
    public RowIndex Index { get; } = index;
    public DataStatistics Statistics { get; } = statistics;

    /// <summary>Copies the tokens of a row out. Safe to call from several threads.</summary>
    public abstract (int[] Ids, int[] Labels) Read(int row);

    public virtual void Dispose() { }
}
