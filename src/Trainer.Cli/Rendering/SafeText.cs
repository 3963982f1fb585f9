using System.Buffers;

namespace Trainer.Cli.Rendering;

/// <summary>
/// Text from files, models and file names as a terminal may have it: letters alone. Control characters could move the cursor, set colours,
/// rename the window or answer in the user's name, so each becomes its picture (ESC becomes ␛).
/// </summary>
internal static class SafeText
{
    // C0 but tab and line feed, DEL, C1 (whose 0x9B is ESC [ in one byte).
    private static readonly SearchValues<char> Controls = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Where(code => code is not ('\t' or '\n')).Concat(Enumerable.Range(0x7F, 0x21)).Select(code => (char)code)]);

    /// <summary>Whether nothing in it would be replaced.</summary>
    public static bool IsSafe(ReadOnlySpan<char> text) => text.IndexOfAny(Controls) < 0;

    /// <summary>The text with every control character but tab and line feed as its picture.</summary>
    public static string Of(string text) => IsSafe(text) ? text : string.Create(text.Length, text, static (target, source) => Copy(source, target));

    /// <summary>Copies text with every control character replaced.</summary>
    public static void Copy(ReadOnlySpan<char> source, Span<char> target)
    {
        source.CopyTo(target);
        for (int at; (at = target.IndexOfAny(Controls)) >= 0; target = target[(at + 1)..]) target[at] = Picture(target[at]);
    }

    private static char Picture(char control) => control switch
    {
        < ' ' => (char)(0x2400 + control),
        '\u007f' => '\u2421',
        _ => '\ufffd',
    };
}
