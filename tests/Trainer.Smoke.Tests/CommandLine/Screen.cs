using System.Globalization;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>What stands on a terminal of a given width after it received some text, as far as the program's escapes go: up, wipe, colours.</summary>
internal static class Screen
{
    public static IReadOnlyList<string> Show(string received, int width)
    {
        var rows = new List<char[]>();
        var (row, column) = (0, 0);
        char[] Row()
        {
            while (rows.Count <= row) rows.Add([.. Enumerable.Repeat(' ', width)]);
            return rows[row];
        }
        for (var i = 0; i < received.Length; i++)
        {
            switch (received[i])
            {
                case '\r': column = 0; break;
                case '\n': row++; break;
                case '\b': column = Math.Max(0, column - 1); break;
                case '\u001b':
                    var end = i + 2;
                    while (!char.IsAsciiLetter(received[end])) end++;
                    var number = int.TryParse(received[(i + 2)..end], CultureInfo.InvariantCulture, out var given) ? given : 0;
                    if (received[end] == 'A') row = Math.Max(0, row - Math.Max(1, number));
                    if (received[end] is 'J' or 'K') Array.Fill(Row(), ' ', Math.Min(column, width), width - Math.Min(column, width));
                    if (received[end] == 'J' && rows.Count > row + 1) rows.RemoveRange(row + 1, rows.Count - row - 1);
                    i = end;
                    break;
                default:
                    // The letter behind a full row opens the next one.
                    if (column == width) (row, column) = (row + 1, 0);
                    Row()[column++] = received[i];
                    break;
            }
        }
        return [.. rows.Select(letters => new string(letters).TrimEnd())];
    }
}
