using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>str.format with the sandbox's attribute rules; a Markup format escapes what it fills in.</summary>
internal sealed class StringFormat
{
    private readonly Arguments _given;
    private readonly Run _run;
    private readonly bool _escapes;
    private int _next;
    private bool _numbered;

    private StringFormat(Arguments given, Run run, bool escapes) => (_given, _run, _escapes) = (given, run, escapes);

    public static string Apply(object format, Arguments given, Run run) =>
        new StringFormat(given, run, format is Markup).Expand(PyText.AsText(format)!, 2);

    private string Expand(string format, int depth)
    {
        if (depth < 0) throw PythonError.Value("Max string recursion exceeded");
        var result = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            var c = format[i];
            if (c is not ('{' or '}'))
            {
                result.Append(c);
                continue;
            }
            if (i + 1 < format.Length && format[i + 1] == c)
            {
                result.Append(c);
                i++;
                continue;
            }
            if (c == '}') throw PythonError.Value("Single '}' encountered in format string");
            if (i + 1 >= format.Length) throw PythonError.Value("Single '{' encountered in format string");
            var end = FieldEnd(format, i + 1);
            result.Append(Field(format[(i + 1)..end], depth));
            _run.Meter.Spend(result.Length);
            i = end;
        }
        return result.ToString();
    }

    private static int FieldEnd(string format, int start)
    {
        var (depth, brackets) = (1, false);
        for (var i = start; i < format.Length; i++)
        {
            if (format[i] == '[' && depth == 1) brackets = true;
            else if (format[i] == ']') brackets = false;
            else if (brackets) continue;
            else if (format[i] == '{') depth++;
            else if (format[i] == '}' && --depth == 0) return i;
        }
        throw PythonError.Value("expected '}' before end of string");
    }

    private string Field(string field, int depth)
    {
        var (name, conversion, spec) = (field, '\0', "");
        var brackets = false;
        for (var i = 0; i < field.Length; i++)
        {
            if (field[i] == '[') brackets = true;
            if (field[i] == ']') brackets = false;
            if (brackets || field[i] is not ('!' or ':')) continue;
            name = field[..i];
            if (field[i] == '!')
            {
                if (i + 1 >= field.Length) throw PythonError.Value("end of string while looking for conversion specifier");
                conversion = field[i + 1];
                if (i + 2 < field.Length && field[i + 2] != ':') throw PythonError.Value("expected ':' after conversion specifier");
                spec = i + 3 <= field.Length ? field[Math.Min(i + 3, field.Length)..] : "";
            }
            else spec = field[(i + 1)..];
            break;
        }
        var value = Find(name);
        var meter = _run.Meter;
        value = conversion switch
        {
            '\0' => value,
            's' => PyText.Str(value, meter),
            'r' => PyText.Repr(value, meter),
            'a' => PercentFormat.Ascii(PyText.Repr(value, meter)),
            _ => throw PythonError.Value($"Unknown conversion specifier {conversion}"),
        };
        spec = spec.Contains('{', StringComparison.Ordinal) || spec.Contains('}', StringComparison.Ordinal) ? Expand(spec, depth - 1) : spec;
        if (!_escapes) return FormatSpec.Format(value is Markup plain && spec.Length > 0 ? plain.Text : value, spec, meter);
        if (value is Markup markup) return spec.Length == 0 ? markup.Text : throw PythonError.Value("Unsupported format specification for Markup.");
        return Markup.Escape(FormatSpec.Format(value, spec, meter));
    }

    private object Find(string name)
    {
        var end = name.AsSpan().IndexOfAny('.', '[');
        var first = end < 0 ? name : name[..end];
        object value;
        if (first.Length == 0 || first.All(char.IsAsciiDigit))
        {
            if (first.Length == 0 == _numbered && (_numbered || _next > 0))
                throw PythonError.Value(_numbered ? "cannot switch from manual field specification to automatic field numbering"
                    : "cannot switch from automatic field numbering to manual field specification");
            _numbered = first.Length > 0;
            var index = first.Length == 0 ? _next++ : int.TryParse(first, out var number) ? number : int.MaxValue;
            if (index >= _given.Positional.Length) throw new PythonError("IndexError", "tuple index out of range");
            value = _given.Positional[index];
        }
        else
            value = _given.Named?.Find(pair => pair.Key == first).Value ?? throw new PythonError("KeyError", PyText.Repr(first, _run.Meter));
        for (var at = end < 0 ? name.Length : end; at < name.Length;)
        {
            if (name[at] == '.')
            {
                var stop = name.AsSpan(at + 1).IndexOfAny('.', '[');
                stop = stop < 0 ? name.Length : at + 1 + stop;
                if (stop == at + 1) throw PythonError.Value("Empty attribute in format string");
                value = PyAttributes.Attribute(value, name[(at + 1)..stop], _run.Meter);
                at = stop;
                continue;
            }
            if (name[at] != '[') throw PythonError.Value("Only '.' or '[' may follow ']' in format field specifier");
            var close = name.IndexOf(']', at);
            if (close < 0) throw PythonError.Value("Missing ']' in format string");
            var key = name[(at + 1)..close];
            if (key.Length == 0) throw PythonError.Value("Empty attribute in format string");
            value = PyAttributes.Item(value, long.TryParse(key, System.Globalization.NumberStyles.None, null, out var position) ? PyNumber.Of(position) : key,
                _run.Meter);
            at = close + 1;
        }
        return value;
    }
}
