using System.Text;

namespace Trainer.Cli.Rendering;

/// <summary>Lines at the end of a terminal that are drawn again in place, while other text scrolls away above them.</summary>
/// <remarks>
/// The cursor rests at the start of the line below, and never at the end of a full one: what the terminal itself echoes there (<c>^C</c>) then moves nothing
/// and is wiped by the next drawing.
/// Each change is one write, so that no half of it is seen; the cursor is never hidden, so that a process that ends at once leaves a whole terminal.
/// </remarks>
internal sealed class LiveRegion(Terminal terminal)
{
    private IReadOnlyList<string> _lines = [];

    /// <summary>Replaces the lines; each must fit the terminal's width.</summary>
    public void Draw(IReadOnlyList<string> lines) => Write(null, lines);

    /// <summary>Writes text above the lines.</summary>
    /// <param name="text">The text.</param>
    /// <param name="colour">The number of its colour; null for none.</param>
    public void Say(string text, int? colour = null) => Write(colour is null ? SafeText.Of(text) : $"\u001b[{colour}m{SafeText.Of(text)}\u001b[0m", _lines);

    private void Write(string? text, IReadOnlyList<string> lines)
    {
        var output = new StringBuilder();
        // A terminal that became narrower has broken the old lines.
        var width = terminal.CurrentWidth();
        var rows = _lines.Sum(line => Math.Max(1, (line.Length + width - 1) / width));
        if (rows > 0) output.Append($"\r\u001b[{rows}A");
        output.Append("\r\u001b[J");
        if (text is not null) output.Append(text).Append('\n');
        _lines = [.. lines.TakeLast(terminal.CurrentHeight() - 1)];
        foreach (var line in _lines) output.Append(SafeText.Of(line)).Append('\n');
        terminal.Error.Raw.Write(output.ToString());
    }
}
