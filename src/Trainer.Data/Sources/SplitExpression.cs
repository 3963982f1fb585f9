using System.Globalization;
using System.Text.RegularExpressions;

namespace Trainer.Data.Sources;

/// <summary>
/// A part of a split as the datasets library writes it: <c>train</c>, <c>train[:10%]</c>, <c>train[100:200]</c>, <c>validation[-5%:]</c>, several joined
/// by +. Percentages round to the closest row; numbers below 0 count from the end.
/// </summary>
/// <param name="Split">The split's name; empty for the source's own (training or held-out) rows.</param>
/// <param name="From">First row or percent, or null for the beginning.</param>
/// <param name="To">Row or percent to stop before, or null for the end.</param>
/// <param name="IsPercent">Whether both are percent.</param>
/// <param name="DropsRemainder">Percent of whole hundreds of rows: each percent has the same number of rows.</param>
internal sealed partial record SplitExpression(string Split, long? From, long? To, bool IsPercent, bool DropsRemainder)
{
    /// <summary>Whether rows are left out at all.</summary>
    public bool IsWhole => From is null && To is null;

    /// <summary>The most rows that must be counted to settle the range, or null where all must be.</summary>
    public long? Needed => !IsPercent && From is not < 0 && To is >= 0 ? To : null;

    /// <summary>Reads an expression.</summary>
    /// <exception cref="DataException">It is none.</exception>
    public static IReadOnlyList<SplitExpression> Parse(string text) => [.. text.Split('+').Select(part => Part(part.Trim(), text))];

    /// <summary>The rows of a split with so many rows.</summary>
    public RowRange Resolve(long rows)
    {
        var (from, to) = (Absolute(From, rows) ?? 0, Absolute(To, rows) ?? rows);
        if (from < 0) from = Math.Max(0, rows + from);
        if (to < 0) to = Math.Max(0, rows + to);
        return new RowRange(Math.Min(from, rows), Math.Min(to, rows));
    }

    private long? Absolute(long? boundary, long rows) => boundary is not { } given || !IsPercent ? boundary
        : DropsRemainder ? given * (rows / 100)
        : (long)Math.Round(given * (double)rows / 100, MidpointRounding.ToEven);

    private static SplitExpression Part(string part, string whole)
    {
        if (Form().Match(part) is not { Success: true } match)
            throw Bad(whole, "write train, train[:10%], train[100:200] or train[-500:]; join several with +");
        long? Number(string group) => match.Groups[group] is { Success: true } found
            ? long.TryParse(found.ValueSpan, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number : throw Bad(whole, "its numbers are too large")
            : null;
        var (from, to) = (Number("from"), Number("to"));
        var percent = match.Groups["percent"].Success;
        if (percent && (from is < -100 or > 100 || to is < -100 or > 100)) throw Bad(whole, "percentages lie between -100 and 100");
        return new SplitExpression(match.Groups["split"].Value, from, to, percent, match.Groups["rounding"].Value == "pct1_dropremainder");
    }

    private static DataException Bad(string text, string what) => new($"'{text}' is no part of a split: {what}");

    [GeneratedRegex(@"^(?<split>[\w.-]*)(\[((?<from>-?\d+)(?<percent>%)?)?:((?<to>-?\d+)(?<percent>%)?)?\])?(\((?<rounding>closest|pct1_dropremainder)\))?\z")]
    private static partial Regex Form();
}
