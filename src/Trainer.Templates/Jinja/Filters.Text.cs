using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

internal static partial class Filters
{
    private static readonly System.Buffers.SearchValues<char> NotInNames = System.Buffers.SearchValues.Create(" \t\n\r\f\v/>=");

    private static object Indent(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_indent", given, 0, "width", "first", "blank");
        var width = binding.Get(0, PyNumber.Of(4));
        var indention = PyText.AsText(width) ?? new string(' ', Math.Clamp(binding.Integer(0, 4), 0, 100_000));
        if (value is Undefined undefined) throw undefined.Error(run.Meter);
        var text = PyText.AsText(value) ?? throw (value is PyList ? new PythonError("AttributeError", "'list' object has no attribute 'splitlines'")
            : PythonError.Type(value is PyTuple ? "can only concatenate tuple (not \"str\") to tuple"
                : $"unsupported operand type(s) for +=: '{PyText.TypeName(value)}' and 'str'"));
        if (value is Markup && width is string) indention = Markup.Escape(indention);
        var lines = PyString.SplitLines(text + "\n");
        run.Meter.Spend(text.Length + (long)lines.Count * (indention.Length + 16));
        var result = new StringBuilder();
        if (binding.Flag(1)) result.Append(indention);
        result.Append(lines[0]);
        foreach (var line in lines.Skip(1))
        {
            result.Append('\n');
            if (line.Length > 0 || binding.Flag(2)) result.Append(indention);
            result.Append(line);
        }
        return value is Markup ? new Markup(result.ToString()) : result.ToString();
    }

    private static string Title(string text)
    {
        var result = new StringBuilder();
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && !(text[i] is '-' or '(' or '{' or '[' or '<' || PyString.IsSpace(text[i]))) continue;
            if (i > start)
            {
                var first = char.IsHighSurrogate(text[start]) && start + 1 < i ? 2 : 1;
                result.Append(PyCase.ToUpper(text.Substring(start, first))).Append(PyCase.ToLower(text[(start + first)..i]));
            }
            if (i < text.Length) result.Append(text[i]);
            start = i + 1;
        }
        return result.ToString();
    }

    private static object Truncate(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_truncate", given, 0, "length", "killwords", "end", "leeway");
        var length = binding.Integer(0, 255);
        var end = binding.Text(2) ?? "...";
        var leeway = binding.Get(3, None.Value) is None ? 5 : binding.Integer(3, 5);
        if (length < PyString.Length(end)) throw new PythonError("AssertionError", $"expected length >= {PyString.Length(end)}, got {length}");
        if (leeway < 0) throw new PythonError("AssertionError", $"expected leeway >= 0, got {leeway}");
        if (PySequence.Length(value) <= length + leeway) return value;
        var text = PyText.AsText(value) ?? throw PythonError.Type($"can only concatenate {PyText.TypeName(value)} (not \"str\") to {PyText.TypeName(value)}");
        var cut = text[..PyString.Offset(text, length - PyString.Length(end))];
        if (!binding.Flag(1)) cut = PyString.SplitFromEnd(cut, " ", 1)[0];
        return value is Markup ? new Markup(cut + Markup.Escape(end)) : cut + end;
    }

    private static long Words(string text)
    {
        var (count, inside) = (0L, false);
        foreach (var rune in text.EnumerateRunes())
        {
            var word = Rune.IsLetterOrDigit(rune) || rune.Value == '_' || Rune.GetNumericValue(rune) >= 0;
            if (word && !inside) count++;
            inside = word;
        }
        return count;
    }

    private static string WordWrap(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_wordwrap", given, 0, "width", "break_long_words", "wrapstring", "break_on_hyphens");
        var width = binding.Integer(0, 79);
        if (width <= 0) throw PythonError.Value($"invalid width {width} (must be > 0)");
        var separator = binding.Text(2, true) ?? "\n";
        if (value is Undefined undefined) throw undefined.Error(run.Meter);
        var text = PyText.AsText(value) ?? throw new PythonError("AttributeError", $"'{PyText.TypeName(value)}' object has no attribute 'splitlines'");
        run.Meter.Spend(text.Length * 16L);
        return string.Join(separator, PyString.SplitLines(text)
            .Select(line => string.Join(separator, TextWrap.Wrap(line, width, binding.Flag(1, true), binding.Flag(3, true)))));
    }

    private static string FileSize(Run run, object value, Arguments given)
    {
        var binary = new Binding("do_filesizeformat", given, 0, "binary").Flag(0);
        var size = Number(value) as double? ?? throw (PyText.AsText(value) is { } text
            ? PythonError.Value($"could not convert string to float: {PyText.Repr(text, run.Meter)}")
            : PythonError.Type($"float() argument must be a string or a real number, not '{PyText.TypeName(value)}'"));
        var step = binary ? 1024.0 : 1000.0;
        if (size == 1) return "1 Byte";
        if (size < step) return $"{PyNumber.IntText(PercentFormat.Truncate(size))} Bytes";
        string[] units = binary ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
        var unit = step;
        var index = 0;
        while (index < units.Length - 1 && size >= unit * step)
        {
            unit *= step;
            index++;
        }
        return $"{RealText.Format(step * size / (unit * step), 'f', 1)} {units[index]}";
    }

    private static string UrlEncode(Run run, object value, Arguments given)
    {
        if (PyText.AsText(value) is { } text) return Quote(text, "/");
        if (!PySequence.TryIterate(value, run.Meter, out var items)) return Quote(PyText.Str(value, run.Meter), "/");
        var pairs = value is PyDict ? Items(value) : PySequence.Each(value, run.Meter);
        return string.Join('&', pairs.Select(pair =>
        {
            var parts = PySequence.ToList(pair, run.Meter);
            if (parts.Count != 2)
                throw PythonError.Value(parts.Count < 2 ? $"not enough values to unpack (expected 2, got {parts.Count})"
                    : "too many values to unpack (expected 2)");
            return string.Join('=', parts.Select(part => Quote(PyText.Str(part, run.Meter), "").Replace("%20", "+", StringComparison.Ordinal)));
        }));
    }

    private static string Quote(string text, string safe)
    {
        var result = new StringBuilder();
        foreach (var b in System.Text.Encoding.UTF8.GetBytes(text))
        {
            var c = (char)b;
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' or '~' || safe.Contains(c, StringComparison.Ordinal)) result.Append(c);
            else result.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
        }
        return result.ToString();
    }

    private static object XmlAttributes(Run run, object value, Arguments given)
    {
        var space = new Binding("do_xmlattr", given, 0, "autospace").Flag(0, true);
        if (value is Undefined undefined) throw undefined.Error(run.Meter);
        if (value is not PyDict dict) throw new PythonError("AttributeError", $"'{PyText.TypeName(value)}' object has no attribute 'items'");
        var parts = new List<string>();
        foreach (var (key, item) in dict.Items)
        {
            if (item is None or Undefined) continue;
            var name = PyText.AsText(key) ?? throw PythonError.Type($"expected string or bytes-like object, got '{PyText.TypeName(key)}'");
            if (name.AsSpan().IndexOfAny(NotInNames) >= 0) throw PythonError.Value($"Invalid character in attribute name: {PyText.Repr(key, run.Meter)}");
            parts.Add($"{Markup.Escape(key, run.Meter).Text}=\"{Markup.Escape(item, run.Meter).Text}\"");
        }
        var text = string.Join(' ', parts);
        if (space && text.Length > 0) text = " " + text;
        return run.Marked(text);
    }

    private static string PrettyPrint(object value, Run run)
    {
        var text = PyText.Repr(SortKeys(value, run), run.Meter);
        return text.Length <= 80 ? text : throw PythonError.Limit("the pprint filter is supported up to one line of 80 characters");
    }

    private static object SortKeys(object value, Run run)
    {
        run.Meter.Step();
        switch (value)
        {
            case PyList list: return new PyList(list.Items.ConvertAll(item => SortKeys(item, run)));
            case PyTuple tuple: return new PyTuple(Array.ConvertAll(tuple.Items, item => SortKeys(item, run)));
            case PyDict dict:
                var sorted = new PyDict(run.Meter);
                foreach (var (key, item) in Sorting.Sort([.. dict.Items], (a, b) => PyCompare.Order("<", a.Key, b.Key, run.Meter)))
                    sorted.Items[key] = SortKeys(item, run);
                return sorted;
            default: return value;
        }
    }
}
