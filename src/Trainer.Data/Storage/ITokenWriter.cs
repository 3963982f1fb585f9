namespace Trainer.Data.Storage;

/// <summary>Takes examples one by one and becomes a store; disposed before that, it leaves nothing behind.</summary>
internal interface ITokenWriter : IDisposable
{
    /// <summary>Examples written so far.</summary>
    int Count { get; }

    /// <summary>Appends an example.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="labels">Labels, as many.</param>
    /// <param name="record">Everything else; where the tokens lie is filled in.</param>
    void Write(int[] ids, int[] labels, RowRecord record);

    TokenStore Finish(DataStatistics statistics);
}
