namespace Trainer.Data.Rows;

/// <summary>Leaves the encoding of one row; caught where the row's file and line are known.</summary>
internal sealed class BadRowException(FaultKind kind, string reason, string wayOut = "", long column = 0) : Exception(OneLine(reason))
{
    public FaultKind Kind { get; } = kind;
    public string WayOut { get; } = wayOut;
    public long Column { get; } = column;

    public static BadRowException Malformed(string reason, string wayOut = "", long column = 0) => new(FaultKind.Malformed, reason, wayOut, column);

    /// <summary>A reason may quote the file, and so hold anything.</summary>
    private static string OneLine(string reason)
    {
        var clean = string.Concat(reason.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c));
        return clean.Length > 400 ? clean[..400] + "..." : clean;
    }
}
