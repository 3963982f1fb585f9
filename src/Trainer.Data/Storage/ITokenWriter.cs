namespace Trainer.Data.Storage;

/// <summary>Takes tokens row by row and becomes a store; disposed before that, it leaves nothing behind.</summary>
internal interface ITokenWriter : IDisposable
{
    /// <summary>Appends a row and answers where it lies.</summary>
    long Write(int[] ids, int[] labels);

    TokenStore Finish(RowIndex index, DataStatistics statistics);
}
