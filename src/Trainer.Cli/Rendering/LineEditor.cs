using System.Text;

namespace Trainer.Cli.Rendering;

/// <summary>
/// Reads lines from a terminal with a cursor that moves, a history and lines that go on: Alt-Enter, a backslash at the end, or pasted text.
/// </summary>
internal sealed class LineEditor(Terminal terminal)
{
    private readonly List<string> _history = [];
    private int _row;

    /// <summary>The line, or null at the end of input (Ctrl-D on an empty line).</summary>
    public string? Read(string prompt)
    {
        var buffer = new LineBuffer(_history);
        _row = 0;
        Draw(prompt, buffer);
        while (true)
        {
            var outcome = buffer.Press(Console.ReadKey(intercept: true), Console.KeyAvailable);
            // Of pasted text, the end alone is worth a drawing.
            if (outcome == LineBuffer.Outcome.Edited && Console.KeyAvailable) continue;
            Draw(prompt, buffer, isLast: outcome != LineBuffer.Outcome.Edited);
            if (outcome == LineBuffer.Outcome.End) return null;
            if (outcome != LineBuffer.Outcome.Done) continue;
            var line = buffer.Text;
            if (line.Trim().Length > 0 && (_history.Count == 0 || _history[^1] != line)) _history.Add(line);
            return line;
        }
    }

    // From the first row of the text down everything is written anew; the cursor is then put back to its place.
    private void Draw(string prompt, LineBuffer buffer, bool isLast = false)
    {
        var width = Math.Max(2, terminal.CurrentWidth());
        var text = new StringBuilder();
        if (_row > 0) text.Append("\u001b[").Append(_row).Append('A');
        text.Append("\r\u001b[J").Append(prompt);
        var (row, column) = (0, prompt.Length);
        var cursor = (Row: 0, Column: column);
        var at = 0;
        foreach (var rune in buffer.Text.EnumerateRunes())
        {
            if (at == buffer.Cursor) cursor = (row, column);
            at += rune.Utf16SequenceLength;
            if (rune.Value == '\n')
            {
                text.Append("\r\n").Append(' ', prompt.Length);
                (row, column) = (row + 1, prompt.Length);
                continue;
            }
            var cells = Cells(rune);
            if (column + cells > width)
            {
                text.Append("\r\n");
                (row, column) = (row + 1, 0);
            }
            text.Append(rune.Value == '\t' ? " " : rune.ToString());
            column += cells;
        }
        if (at == buffer.Cursor) cursor = (row, column);
        if (isLast)
        {
            terminal.Error.Write(text.Append("\r\n").ToString());
            return;
        }
        if (row > cursor.Row) text.Append("\u001b[").Append(row - cursor.Row).Append('A');
        text.Append('\r');
        if (cursor.Column > 0) text.Append("\u001b[").Append(Math.Min(cursor.Column, width - 1)).Append('C');
        terminal.Error.Write(text.ToString());
        terminal.Error.Flush();
        _row = cursor.Row;
    }

    // Wide letters take two cells, marks on a letter none.
    private static int Cells(Rune rune) => rune.Value switch
    {
        '\t' => 1,
        < 0x300 => 1,
        _ when Rune.GetUnicodeCategory(rune) is System.Globalization.UnicodeCategory.NonSpacingMark or System.Globalization.UnicodeCategory.EnclosingMark
            or System.Globalization.UnicodeCategory.Format => 0,
        (>= 0x1100 and <= 0x115F) or (>= 0x2E80 and <= 0xA4CF) or (>= 0xAC00 and <= 0xD7A3) or (>= 0xF900 and <= 0xFAFF) or (>= 0xFE30 and <= 0xFE6F)
            or (>= 0xFF00 and <= 0xFF60) or (>= 0xFFE0 and <= 0xFFE6) or (>= 0x1F300 and <= 0x1F64F) or (>= 0x1F900 and <= 0x1F9FF)
            or (>= 0x20000 and <= 0x3FFFD) => 2,
        _ => 1,
    };
}
