using System.Text.RegularExpressions;

namespace Trainer.Templates.Jinja;

/// <summary>Python's textwrap.wrap without tab expansion and whitespace replacement, as the wordwrap filter calls it.</summary>
internal static partial class TextWrap
{
    // textwrap.TextWrapper.wordsep_re and wordsep_simple_re.
    [GeneratedRegex(@"([\t\n\v\f\r ]+|(?<=[\w!""'&.,?])-{2,}(?=\w)|[^\t\n\v\f\r ]+?(?:-(?:(?<=[^\d\W]{2}-)|(?<=[^\d\W]-[^\d\W]-))(?=[^\d\W]-?[^\d\W])|(?=[\t\n\v\f\r ]|\z)|(?<=[\w!""'&.,?])(?=-{2,}\w)))",
        RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Words();

    private const int LongestLine = 20_000; // the word pattern is quadratic in a line of hyphens

    public static List<string> Wrap(string text, int width, bool breakLong, bool breakHyphens)
    {
        if (text.Length > LongestLine) throw PythonError.Limit($"wordwrap of a line beyond {LongestLine} characters");
        var chunks = breakHyphens ? Split(text) : SplitAtSpace(text);
        chunks.Reverse();
        var lines = new List<string>();
        while (chunks.Count > 0)
        {
            var line = new List<string>();
            var length = 0;
            if (chunks[^1].Trim(Blank).Length == 0 && lines.Count > 0) chunks.RemoveAt(chunks.Count - 1);
            while (chunks.Count > 0 && length + PyString.Length(chunks[^1]) <= width)
            {
                length += PyString.Length(chunks[^1]);
                line.Add(chunks[^1]);
                chunks.RemoveAt(chunks.Count - 1);
            }
            if (chunks.Count > 0 && PyString.Length(chunks[^1]) > width) BreakLong(chunks, line, length, width, breakLong, breakHyphens);
            if (line.Count > 0 && line[^1].Trim(Blank).Length == 0) line.RemoveAt(line.Count - 1);
            if (line.Count > 0) lines.Add(string.Concat(line));
        }
        return lines;
    }

    private static readonly char[] Blank = ['\t', '\n', '\v', '\f', '\r', ' ', '\x1c', '\x1d', '\x1e', '\x1f', '\x85', '\xa0'];

    private static void BreakLong(List<string> chunks, List<string> line, int length, int width, bool breakLong, bool breakHyphens)
    {
        var room = width < 1 ? 1 : width - length;
        if (breakLong)
        {
            var chunk = chunks[^1];
            var end = room;
            if (breakHyphens && PyString.Length(chunk) > room)
            {
                var hyphen = chunk.LastIndexOf('-', Math.Max(0, Math.Min(PyString.Offset(chunk, room), chunk.Length) - 1));
                if (hyphen > 0 && chunk[..hyphen].Any(c => c != '-')) end = PyString.Length(chunk[..(hyphen + 1)]);
            }
            var at = PyString.Offset(chunk, end);
            line.Add(chunk[..at]);
            chunks[^1] = chunk[at..];
            return;
        }
        if (line.Count > 0) return;
        line.Add(chunks[^1]);
        chunks.RemoveAt(chunks.Count - 1);
    }

    private static List<string> Split(string text)
    {
        try
        {
            return [.. Words().Split(text).Where(part => part.Length > 0)];
        }
        catch (RegexMatchTimeoutException)
        {
            throw PythonError.Limit("wordwrap ran for too long");
        }
    }

    private static List<string> SplitAtSpace(string text)
    {
        var parts = new List<string>();
        for (var at = 0; at < text.Length;)
        {
            var end = at;
            var blank = text[at] is '\t' or '\n' or '\v' or '\f' or '\r' or ' ';
            while (end < text.Length && (text[end] is '\t' or '\n' or '\v' or '\f' or '\r' or ' ') == blank) end++;
            parts.Add(text[at..end]);
            at = end;
        }
        return parts;
    }
}
