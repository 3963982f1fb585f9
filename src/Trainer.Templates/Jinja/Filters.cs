using System.Net;

namespace Trainer.Templates.Jinja;

internal delegate object Filter(Run run, object value, Arguments given);

/// <summary>The filters, with transformers' own <c>tojson</c>.</summary>
internal static partial class Filters
{
    private static readonly Dictionary<string, Filter> Table = new()
    {
        ["abs"] = (run, value, _) => value is double real
            ? Math.Abs(real) : PyNumber.IsInteger(value) ? PyNumber.Normal(System.Numerics.BigInteger.Abs(PyNumber.Big(value)))
            : throw (value is Undefined undefined ? undefined.Error(run.Meter) : PythonError.Type($"bad operand type for abs(): '{PyText.TypeName(value)}'")),
        ["attr"] = (run, value, given) =>
        {
            var name = new Binding("do_attr", given, 1, "name").RequiredText(0);
            return PyAttributes.Own(value, name, run.Meter) ?? new Undefined(null, value, name);
        },
        ["batch"] = Batch,
        ["capitalize"] = (run, value, _) => Like(value, PyCase.Capitalize, run),
        ["center"] = (run, value, given) =>
        {
            var width = new Binding("do_center", given, 0, "width").Integer(0, 80);
            return Like(value, text => PyString.Pad(text, width, " ", '^', run.Meter), run);
        },
        ["count"] = (_, value, _) => PyNumber.Of(PySequence.Length(value)),
        ["length"] = (_, value, _) => PyNumber.Of(PySequence.Length(value)),
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = DictSort,
        ["e"] = (run, value, _) => Markup.Escape(value, run.Meter),
        ["escape"] = (run, value, _) => Markup.Escape(value, run.Meter),
        ["forceescape"] = (run, value, _) => new Markup(Markup.Escape(PyText.Str(value, run.Meter))),
        ["filesizeformat"] = FileSize,
        ["first"] = (run, value, _) => PySequence.Iterate(value, run.Meter) is var items && items.MoveNext()
            ? items.Current : new Undefined("No first item, sequence was empty."),
        ["last"] = (run, value, _) => PySequence.Reversed(value, run.Meter).Iterator is var items && items.MoveNext()
            ? items.Current : new Undefined("No last item, sequence was empty."),
        ["float"] = (run, value, given) =>
        {
            var fallback = new Binding("do_float", given, 0, "default").Get(0, 0.0);
            return Number(value) is { } real ? real : fallback;
        },
        ["int"] = ToInteger,
        ["format"] = (run, value, given) =>
        {
            if (given.Positional.Length > 0 && given.NamedCount > 0)
                throw new PythonError("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
            return PercentFormat.Apply(Soft(value, run), given.NamedCount > 0 ? Dict(given, run) : new PyTuple(given.Positional), run);
        },
        ["groupby"] = GroupBy,
        ["indent"] = Indent,
        ["items"] = (run, value, _) => new Generator(Items(value)),
        ["join"] = Join,
        ["list"] = (run, value, _) => new PyList(PySequence.ToList(value, run.Meter)),
        ["lower"] = (run, value, _) => Like(value, PyCase.ToLower, run),
        ["upper"] = (run, value, _) => Like(value, PyCase.ToUpper, run),
        ["map"] = (run, value, given) => new Generator(Map(run, value, given)),
        ["max"] = (run, value, given) => Extreme("max", run, value, given),
        ["min"] = (run, value, given) => Extreme("min", run, value, given),
        ["pprint"] = (run, value, _) => PrettyPrint(value, run),
        ["reject"] = (run, value, given) => new Generator(Select(run, value, given, attribute: false, keep: false)),
        ["rejectattr"] = (run, value, given) => new Generator(Select(run, value, given, attribute: true, keep: false)),
        ["select"] = (run, value, given) => new Generator(Select(run, value, given, attribute: false, keep: true)),
        ["selectattr"] = (run, value, given) => new Generator(Select(run, value, given, attribute: true, keep: true)),
        ["replace"] = Replace,
        ["reverse"] = Reverse,
        ["round"] = Round,
        ["safe"] = (run, value, _) => value is Markup ? value : new Markup(PyText.Str(value, run.Meter)),
        ["slice"] = (run, value, given) => new Generator(Slices(run, value, new Binding("sync_do_slice", given, 1, "slices", "fill_with"))),
        ["sort"] = Sort,
        ["string"] = (run, value, _) => Soft(value, run),
        ["striptags"] = (run, value, _) => Unescape(PyText.Str(value, run.Meter), strip: true, run.Meter),
        ["sum"] = Sum,
        ["title"] = (run, value, _) => Like(value, Title, run, keepsMarkup: false),
        ["tojson"] = (run, value, given) => PyJson.Dump(run, value, new Binding("tojson", given, 0, "ensure_ascii", "indent", "separators", "sort_keys")),
        ["trim"] = (run, value, given) =>
        {
            var letters = new Binding("do_trim", given, 0, "chars").Text(0, true);
            return Like(value, text => PyString.Strip(text, letters), run);
        },
        ["truncate"] = Truncate,
        ["unique"] = (run, value, given) => new Generator(Unique(run, value, new Binding("sync_do_unique", given, 0, "case_sensitive", "attribute"))),
        ["urlencode"] = UrlEncode,
        ["wordcount"] = (run, value, _) => PyNumber.Of(Words(PyText.Str(value, run.Meter))),
        ["wordwrap"] = WordWrap,
        ["xmlattr"] = XmlAttributes,
        ["random"] = (_, _, _) => throw PythonError.Limit("the random filter is refused: the same conversation must always give the same text"),
        ["urlize"] = (_, _, _) => throw PythonError.Limit("the urlize filter is not supported"),
    };

    // Filters whose Python twin takes no arguments at all.
    private static readonly HashSet<string> Bare = ["abs", "capitalize", "count", "length", "e", "escape", "forceescape", "first", "last", "items", "list",
        "lower", "upper", "pprint", "reverse", "safe", "string", "striptags", "title", "wordcount"];

    public static Filter? Find(string name)
    {
        if (!Table.TryGetValue(name, out var filter)) return null;
        if (!Bare.Contains(name)) return filter;
        return (run, value, given) =>
        {
            if (given.Positional.Length > 0) throw PythonError.Type($"do_{name}() takes 1 positional argument but {given.Positional.Length + 1} were given");
            if (given.Named is { Count: > 0 }) throw PythonError.Type($"do_{name}() got an unexpected keyword argument '{given.Named[0].Key}'");
            return filter(run, value, given);
        };
    }

    public static bool Knows(string name) => Table.ContainsKey(name);

    /// <summary>soft_str: a str or Markup as it is, anything else as str.</summary>
    private static object Soft(object value, Run run) => value is string or Markup ? value : PyText.Str(value, run.Meter);

    private static object Like(object value, Func<string, string> change, Run run, bool keepsMarkup = true) =>
        value is Markup markup && keepsMarkup ? new Markup(change(markup.Text)) : change(PyText.Str(value, run.Meter));

    private static PyDict Dict(Arguments given, Run run)
    {
        var dict = new PyDict(run.Meter);
        foreach (var (key, value) in given.Named!) dict.Items[key] = value;
        return dict;
    }

    private static object Default(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_default", given, 0, "default_value", "boolean");
        return value is Undefined || (binding.Flag(1) && !PyCompare.Truth(value)) ? binding.Get(0, "") : value;
    }

    /// <summary>float(value), or null where Python raises TypeError or ValueError.</summary>
    private static object? Number(object value) => PyNumber.IsNumber(value) ? PyNumber.Real(value)
        : PyText.AsText(value) is { } text ? PyNumber.ParseFloat(text) : value is Undefined undefined ? throw undefined.Error(new Meter()) : null;

    private static object ToInteger(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_int", given, 0, "default", "base");
        if (PyNumber.IsInteger(value)) return PyNumber.Normal(PyNumber.Big(value));
        if (PyText.AsText(value) is { } text && PyNumber.ParseInt(text, binding.Integer(1, 10)) is { } whole) return whole;
        if (value is double infinite && double.IsInfinity(infinite)) throw new PythonError("OverflowError", "cannot convert float infinity to integer");
        return Number(value) is double real && double.IsFinite(real) ? PyNumber.Normal(PercentFormat.Truncate(real)) : binding.Get(0, PyNumber.Of(0));
    }

    private static object Join(Run run, object value, Arguments given)
    {
        var binding = new Binding("sync_do_join", given, 0, "d", "attribute");
        var separator = binding.Get(0, "");
        var items = PySequence.Each(value, run.Meter);
        if (binding.Get(1, None.Value) is not None and var attribute)
        {
            var getter = Getter(attribute, run);
            items = items.Select(getter);
        }
        if (!run.Autoescape)
            return StringMethods.Join(PyText.Str(separator, run.Meter), new Generator(items.Select(item => (object)PyText.Str(item, run.Meter))), run);
        var list = items.ToList();
        if (separator is not Markup && !list.Exists(item => item is Markup))
            return StringMethods.Join(PyText.Str(separator, run.Meter), new PyList(list.ConvertAll(item => (object)PyText.Str(item, run.Meter))), run);
        return new Markup(PyText.AsText(StringMethods.Join(Markup.Escape(separator, run.Meter).Text,
            new PyList(list.ConvertAll(item => (object)Markup.Escape(item, run.Meter).Text)), run))!);
    }

    private static object Replace(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_replace", given, 2, "old", "new", "count");
        var count = binding.Get(2, None.Value) is None ? -1 : binding.Integer(2, -1);
        var (old, replacement) = (PyText.Str(binding[0]!, run.Meter), binding[1]!);
        if (!run.Autoescape) return PyString.Replace(PyText.Str(value, run.Meter), old, PyText.Str(replacement, run.Meter), count, run.Meter);
        var escapes = binding[0] is Markup || (replacement is Markup && value is not Markup);
        var text = escapes ? Markup.Escape(value, run.Meter) : Soft(value, run);
        if (text is not Markup markup) return PyString.Replace((string)text, old, PyText.Str(replacement, run.Meter), count, run.Meter);
        return new Markup(PyString.Replace(markup.Text, old, Markup.Escape(replacement, run.Meter).Text, count, run.Meter));
    }

    private static object Reverse(Run run, object value, Arguments given)
    {
        if (value is string text) return string.Concat(PyString.Letters(text).Reverse());
        if (value is Markup markup) return new Markup(string.Concat(PyString.Letters(markup.Text).Reverse()));
        if (value is not Generator generator) return value is None || PyNumber.IsNumber(value)
            ? throw new PythonError("FilterArgumentError", "argument must be iterable") : PySequence.Reversed(value, run.Meter);
        var items = PySequence.ToList(generator, run.Meter);
        items.Reverse();
        return new PyList(items);
    }

    public static object Unescape(string text, bool strip, Meter meter)
    {
        if (!strip) return WebUtility.HtmlDecode(text);
        for (var start = text.IndexOf("<!--", StringComparison.Ordinal); start >= 0; start = text.IndexOf("<!--", StringComparison.Ordinal))
        {
            var end = text.IndexOf("-->", start, StringComparison.Ordinal);
            if (end < 0) break;
            meter.Spend(text.Length + 16L);
            text = text[..start] + text[(end + 3)..];
        }
        for (var start = text.IndexOf('<', StringComparison.Ordinal); start >= 0; start = text.IndexOf('<', StringComparison.Ordinal))
        {
            var end = text.IndexOf('>', start);
            if (end < 0) break;
            meter.Spend(text.Length + 16L);
            text = text[..start] + text[(end + 1)..];
        }
        return WebUtility.HtmlDecode(string.Join(' ', PyString.Split(text, null, -1)));
    }

    private static object Round(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_round", given, 0, "precision", "method");
        var method = binding.Get(1, "common");
        if (method is not ("common" or "ceil" or "floor")) throw new PythonError("FilterArgumentError", "method must be common, ceil or floor");
        if (!PyNumber.IsNumber(value)) throw PythonError.Type($"type {PyText.TypeName(value)} doesn't define __round__ method");
        var precision = binding.Integer(0, 0);
        if (method is "common") return value is double real ? RoundReal(real, precision) : RoundWhole(PyNumber.Big(value), precision, run.Meter);
        var scale = PyNumber.Calculate("**", PyNumber.Of(10), PyNumber.Of(precision), run.Meter);
        var scaled = PyNumber.Calculate("*", value, scale, run.Meter);
        var whole = scaled is double number ? PyNumber.Normal(PercentFormat.Truncate(method is "ceil" ? Math.Ceiling(number) : Math.Floor(number))) : scaled;
        return PyNumber.Calculate("/", whole, scale, run.Meter);
    }

    /// <summary>round(float, n): correctly rounded decimal, half to even on the exact value.</summary>
    private static double RoundReal(double value, int precision)
    {
        if (!double.IsFinite(value) || precision > 323) return value;
        if (precision < -308) return Math.CopySign(0, value);
        if (precision <= 0)
        {
            var power = Math.Pow(10, -precision);
            return precision == 0 ? Math.Round(value, MidpointRounding.ToEven) : Math.Round(value / power, MidpointRounding.ToEven) * power;
        }
        var text = value.ToString("F" + precision, System.Globalization.CultureInfo.InvariantCulture);
        return double.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
    }

    private static object RoundWhole(System.Numerics.BigInteger value, int precision, Meter meter)
    {
        if (precision >= 0) return PyNumber.Normal(value);
        if (precision < -5000) return PyNumber.Of(0);
        meter.Spend(-precision * 16L);
        var unit = System.Numerics.BigInteger.Pow(10, -precision);
        var rest = System.Numerics.BigInteger.Remainder(value, unit);
        if (rest.Sign < 0) rest += unit;
        var down = value - rest;
        var twice = rest * 2;
        return PyNumber.Normal(twice > unit || (twice == unit && !(down / unit).IsEven) ? down + unit : down);
    }
}
