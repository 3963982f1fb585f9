namespace Trainer.Cli.CommandLine;

/// <summary>Words as a shell takes them, for lines that are meant to be pasted.</summary>
internal static class ShellWord
{
    /// <summary>The word as it is where no shell reads anything into it, else in single quotes.</summary>
    public static string Quote(string word) =>
        word.Length > 0 && word.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '/' or '.' or '_' or '-' or ',' or '=' or ':' or '@' or '+' or '%')
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";

    /// <summary>A whole line.</summary>
    public static string Line(IEnumerable<string> words) => string.Join(' ', words.Select(Quote));
}
