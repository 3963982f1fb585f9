using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>Python's string operations: whitespace by Python's set, lengths and positions in code points.</summary>
internal static class PyString
{
    /// <summary>str.isspace and the regular expressions' \s: .NET's set and the four separators U+001C to U+001F.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static bool HasSurrogates(string text) => text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff') >= 0;

    public static int Length(string text)
    {
        if (!HasSurrogates(text)) return text.Length;
        var pairs = 0;
        for (var i = 0; i + 1 < text.Length; i++)
            if (char.IsHighSurrogate(text[i]) && char.IsLowSurrogate(text[i + 1])) { pairs++; i++; }
        return text.Length - pairs;
    }

    /// <summary>The code points as strings of one or two chars.</summary>
    public static IEnumerable<string> Letters(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1])) yield return text.Substring(i++, 2);
            else yield return text[i] < 128 ? Ascii[text[i]] : text[i].ToString();
        }
    }

    private static readonly string[] Ascii = Enumerable.Range(0, 128).Select(c => ((char)c).ToString()).ToArray();

    /// <summary>The UTF-16 position of a code point position.</summary>
    public static int Offset(string text, int points)
    {
        var at = 0;
        for (; points > 0 && at < text.Length; points--)
            at += char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;
        return at;
    }

    public static string? At(string text, int index)
    {
        var length = Length(text);
        if (index < 0) index += length;
        if (index < 0 || index >= length) return null;
        if (length == text.Length) return text[index] < 128 ? Ascii[text[index]] : text[index].ToString();
        var at = Offset(text, index);
        return char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? text.Substring(at, 2) : text[at].ToString();
    }

    public static string Slice(string text, PySlice slice)
    {
        var length = Length(text);
        var (start, count, step) = slice.Over(length);
        if (step == 1)
        {
            if (length == text.Length) return text.Substring(start, count);
            var from = Offset(text, start);
            return text[from..(from + Offset(text[from..], count))];
        }
        var result = new StringBuilder(count);
        if (length == text.Length)
        {
            for (var i = 0; i < count; i++) result.Append(text[start + i * step]);
            return result.ToString();
        }
        var letters = Letters(text).ToArray();
        for (var i = 0; i < count; i++) result.Append(letters[start + i * step]);
        return result.ToString();
    }

    public static int CompareCodePoints(string left, string right)
    {
        for (var i = 0; i < left.Length && i < right.Length; i++)
        {
            if (left[i] == right[i]) continue;
            // Surrogates stand for letters above every BMP one, though their values do not.
            var (a, b) = (char.IsSurrogate(left[i]), char.IsSurrogate(right[i]));
            return a == b ? left[i].CompareTo(right[i]) : a ? 1 : -1;
        }
        return left.Length.CompareTo(right.Length);
    }

    public static string Strip(string text, string? letters = null) => StripEnd(StripStart(text, letters), letters);

    public static string StripStart(string text, string? letters = null)
    {
        var at = 0;
        if (letters is null)
            while (at < text.Length && IsSpace(text[at])) at++;
        else
            while (at < text.Length)
            {
                var width = char.IsHighSurrogate(text[at]) && at + 1 < text.Length ? 2 : 1;
                if (letters.AsSpan().IndexOf(text.AsSpan(at, width)) < 0) break;
                at += width;
            }
        return at == 0 ? text : text[at..];
    }

    public static string StripEnd(string text, string? letters = null)
    {
        var end = text.Length;
        if (letters is null)
            while (end > 0 && IsSpace(text[end - 1])) end--;
        else
            while (end > 0)
            {
                var width = char.IsLowSurrogate(text[end - 1]) && end > 1 ? 2 : 1;
                if (letters.AsSpan().IndexOf(text.AsSpan(end - width, width)) < 0) break;
                end -= width;
            }
        return end == text.Length ? text : text[..end];
    }

    /// <summary>str.split; a null separator splits at runs of whitespace.</summary>
    public static List<string> Split(string text, string? separator, int most)
    {
        var parts = new List<string>();
        if (most < 0) most = int.MaxValue;
        var at = 0;
        if (separator is null)
        {
            while (true)
            {
                while (at < text.Length && IsSpace(text[at])) at++;
                if (at == text.Length) return parts;
                if (parts.Count == most)
                {
                    parts.Add(text[at..]);
                    return parts;
                }
                var start = at;
                while (at < text.Length && !IsSpace(text[at])) at++;
                parts.Add(text[start..at]);
            }
        }
        if (separator.Length == 0) throw PythonError.Value("empty separator");
        while (parts.Count < most)
        {
            var found = text.IndexOf(separator, at, StringComparison.Ordinal);
            if (found < 0) break;
            parts.Add(text[at..found]);
            at = found + separator.Length;
        }
        parts.Add(text[at..]);
        return parts;
    }

    /// <summary>str.rsplit.</summary>
    public static List<string> SplitFromEnd(string text, string? separator, int most)
    {
        if (most < 0) return Split(text, separator, most);
        var parts = new List<string>();
        var end = text.Length;
        if (separator is null)
        {
            while (true)
            {
                while (end > 0 && IsSpace(text[end - 1])) end--;
                if (end == 0) break;
                if (parts.Count == most)
                {
                    parts.Add(text[..end]);
                    break;
                }
                var stop = end;
                while (end > 0 && !IsSpace(text[end - 1])) end--;
                parts.Add(text[end..stop]);
            }
        }
        else
        {
            if (separator.Length == 0) throw PythonError.Value("empty separator");
            while (parts.Count < most && end >= separator.Length)
            {
                var found = text.AsSpan(0, end).LastIndexOf(separator);
                if (found < 0) break;
                parts.Add(text[(found + separator.Length)..end]);
                end = found;
            }
            parts.Add(text[..end]);
        }
        parts.Reverse();
        return parts;
    }

    public static List<string> SplitLines(string text, bool keepEnds = false)
    {
        var lines = new List<string>();
        for (var at = 0; at < text.Length;)
        {
            var end = at;
            while (end < text.Length && text[end] is not ('\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029')) end++;
            var next = end < text.Length ? end + (text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? 2 : 1) : end;
            lines.Add(text[at..(keepEnds ? next : end)]);
            at = next;
        }
        return lines;
    }

    /// <summary>str.replace, empty search text included.</summary>
    public static string Replace(string text, string old, string replacement, int most, Meter meter)
    {
        if (most < 0) most = int.MaxValue;
        if (most == 0) return text;
        var result = new StringBuilder();
        var count = 0;
        if (old.Length == 0)
        {
            foreach (var letter in Letters(text))
            {
                if (count++ < most) result.Append(replacement);
                result.Append(letter);
                meter.Spend(replacement.Length + 16);
            }
            if (count < most) result.Append(replacement);
            return result.ToString();
        }
        var at = 0;
        while (count++ < most)
        {
            var found = text.IndexOf(old, at, StringComparison.Ordinal);
            if (found < 0) break;
            meter.Spend(result.Length > 1 << 27 ? long.MaxValue : found - at + replacement.Length + 16L);
            result.Append(text, at, found - at).Append(replacement);
            at = found + old.Length;
        }
        return at == 0 ? text : result.Append(text, at, text.Length - at).ToString();
    }

    public static string Pad(string text, int width, string fill, char where, Meter meter)
    {
        if (Length(fill) != 1) throw PythonError.Type("The fill character must be exactly one character long");
        var missing = width - Length(text);
        if (missing <= 0) return text;
        meter.Spend(missing);
        var left = where switch { '<' => 0, '>' => missing, _ => missing / 2 + (missing & width & 1) };
        var result = new StringBuilder(text.Length + missing);
        for (var i = 0; i < left; i++) result.Append(fill);
        result.Append(text);
        for (var i = left; i < missing; i++) result.Append(fill);
        return result.ToString();
    }

    /// <summary>Whether there is at least one code point and all pass.</summary>
    public static bool All(string text, Func<Rune, UnicodeCategory, bool> test)
    {
        if (text.Length == 0) return false;
        foreach (var rune in text.EnumerateRunes())
            if (!test(rune, Rune.GetUnicodeCategory(rune))) return false;
        return true;
    }
}
