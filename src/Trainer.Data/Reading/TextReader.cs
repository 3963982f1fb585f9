using System.Text;

namespace Trainer.Data.Reading;

/// <summary>
/// Documents of a .txt file: separated by <c>&lt;|endoftext|&gt;</c> where the file has that marker, else the whole file is one document.
/// White space around a document is dropped, CRLF becomes LF. A very long document comes in pieces cut after a line break.
/// </summary>
internal static class TextReader
{
    internal const string Separator = "<|endoftext|>";

    public static IEnumerable<RawRow> Read(Stream stream, string file, Limits limits)
    {
        using var reader = new StreamReader(new Utf8CheckingStream(stream, file), new UTF8Encoding(false, true), false, 1 << 16);
        var text = new char[1 << 16];
        int length = 0, scanned = 0;
        long line = 1;
        var continues = false;
        var more = true;
        while (more)
        {
            if (length == text.Length) Array.Resize(ref text, text.Length * 2);
            var n = reader.Read(text, length, text.Length - length);
            more = n > 0;
            length += n;
            while (true)
            {
                var from = Math.Max(0, scanned - Separator.Length + 1);
                var found = text.AsSpan(from, length - from).IndexOf(Separator);
                var cut = found >= 0 ? from + found : more ? -1 : length;
                var after = found >= 0 ? Separator.Length : 0;
                var inside = false;
                if (cut < 0 || cut > limits.DocumentChars)
                {
                    scanned = length;
                    if (length <= limits.DocumentChars && cut < 0) break;
                    (cut, after, inside) = (PieceEnd(text.AsSpan(0, Math.Min(length, limits.DocumentChars))), 0, true);
                }
                if (Document(text.AsSpan(0, cut), file, ref line, continues, inside) is { } row) yield return row;
                continues = inside;
                var rest = length - cut - after;
                text.AsSpan(cut + after, rest).CopyTo(text);
                (length, scanned) = (rest, 0);
                if (length == 0) break;
            }
        }
    }

    private static int PieceEnd(ReadOnlySpan<char> text)
    {
        var half = text.Length / 2;
        var cut = text.LastIndexOf('\n');
        if (cut < half) cut = text.LastIndexOf(' ') - 1; // the blank belongs to the next word, as tokenizers have it
        if (cut < half) cut = text.Length - 1;
        return char.IsHighSurrogate(text[cut]) ? cut : cut + 1;
    }

    private static RawRow? Document(ReadOnlySpan<char> text, string file, ref long line, bool before, bool after)
    {
        var body = before ? text : text.TrimStart();
        var begins = line + text[..(text.Length - body.Length)].Count('\n');
        if (!after) body = body.TrimEnd();
        line += text.Count('\n');
        if (body.IsEmpty) return null;
        var document = body.Contains('\r') ? body.ToString().Replace("\r\n", "\n", StringComparison.Ordinal) : body.ToString();
        return new RawRow(new RowSource(file, begins)) { Document = document, ContinuesBefore = before, ContinuesAfter = after };
    }
}
