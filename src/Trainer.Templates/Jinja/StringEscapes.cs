using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>The escapes of a string literal, as Python's unicode-escape codec reads them.</summary>
internal static class StringEscapes
{
    public static string Decode(string literal, int line)
    {
        if (!literal.Contains('\\', StringComparison.Ordinal)) return literal;
        var text = new StringBuilder(literal.Length);
        for (var i = 0; i < literal.Length; i++)
        {
            var c = literal[i];
            if (c != '\\')
            {
                text.Append(c);
                continue;
            }
            c = literal[++i];
            switch (c)
            {
                case '\n': break;
                case '\\' or '\'' or '"': text.Append(c); break;
                case 'a': text.Append('\a'); break;
                case 'b': text.Append('\b'); break;
                case 'f': text.Append('\f'); break;
                case 'n': text.Append('\n'); break;
                case 'r': text.Append('\r'); break;
                case 't': text.Append('\t'); break;
                case 'v': text.Append('\v'); break;
                case >= '0' and <= '7':
                    var value = 0;
                    var end = Math.Min(i + 3, literal.Length);
                    for (; i < end && literal[i] is >= '0' and <= '7'; i++) value = value * 8 + literal[i] - '0';
                    i--;
                    text.Append((char)value);
                    break;
                case 'x': i = Hex(text, literal, i + 1, 2, line); break;
                case 'u': i = Hex(text, literal, i + 1, 4, line); break;
                case 'U': i = Hex(text, literal, i + 1, 8, line); break;
                case 'N': throw PythonError.Syntax("\\N{...} escapes are not supported", line);
                case <= '\x7f': text.Append('\\').Append(c); break;
                default:
                    // jinja2 first makes the literal ASCII, so the backslash then escapes that escape's own backslash.
                    text.Append('\\');
                    var wide = char.IsHighSurrogate(c) && i + 1 < literal.Length && char.IsLowSurrogate(literal[i + 1]);
                    var point = wide ? char.ConvertToUtf32(c, literal[++i]) : c;
                    text.Append(point < 0x100 ? 'x' : point < 0x10000 ? 'u' : 'U');
                    text.Append(point.ToString(point < 0x100 ? "x2" : point < 0x10000 ? "x4" : "x8", CultureInfo.InvariantCulture));
                    break;
            }
        }
        return text.ToString();
    }

    private static int Hex(StringBuilder to, string literal, int at, int digits, int line)
    {
        if (at + digits > literal.Length || !int.TryParse(literal.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out var value))
            throw PythonError.Syntax($"truncated \\{literal[at - 1]}{new string('X', digits)} escape", line);
        if (value is < 0 or > 0x10ffff) throw PythonError.Syntax("illegal Unicode character", line);
        to.Append(value < 0x10000 ? ((char)value).ToString() : char.ConvertFromUtf32(value));
        return at + digits - 1;
    }
}
