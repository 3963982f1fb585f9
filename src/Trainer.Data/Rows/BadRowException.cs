namespace Trainer.Data.Rows;

/// <summary>Leaves the encoding of one row; caught where the row's file and line are known.</summary>
internal sealed class BadRowException(FaultKind kind, string reason, string wayOut = "", long column = 0) : Exception(reason)
{
    public FaultKind Kind { get; } = kind;
    public string WayOut { get; } = wayOut;
    public long Column { get; } = column;

    public static BadRowException Malformed(string reason, string wayOut = "", long column = 0) => new(FaultKind.Malformed, reason, wayOut, column);
}
