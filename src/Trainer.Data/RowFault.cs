namespace Trainer.Data;

/// <summary>A refused row.</summary>
/// <param name="Source">The row's file and line.</param>
/// <param name="Column">One-based byte column of the fault within the line, or 0 where the whole row is meant.</param>
/// <param name="Kind">Why it was refused.</param>
/// <param name="Reason">The reason, as a clause.</param>
/// <param name="WayOut">What to do about it, as a clause, or an empty string.</param>
public sealed record RowFault(RowSource Source, long Column, FaultKind Kind, string Reason, string WayOut = "")
{
    /// <summary><c>file:line</c>, with the column where one is known.</summary>
    public string Where => Column > 0 ? $"{Source}, column {Column}" : Source.ToString();

    /// <summary>The whole sentence, as an exception of this fault carries it.</summary>
    public string Message => $"bad row ({Where}): {Reason}; {Advice}";

    /// <summary>What to do, leaving the row out included.</summary>
    public string Advice => Kind is not (FaultKind.Malformed or FaultKind.DoubleBos or FaultKind.LeftOut) ? WayOut
        : WayOut.Length > 0 ? WayOut + ", or drop such rows with --on-bad-row drop" : "fix it, or drop such rows with --on-bad-row drop";
}
