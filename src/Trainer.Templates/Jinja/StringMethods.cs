using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>The methods of str, and of Markup, whose results are Markup again and whose arguments are escaped.</summary>
internal static class StringMethods
{
    private delegate object Method(string text, Binding given, Run run);

    private sealed record Entry(Method Body, int Required, string[] Names, bool KeepsMarkup = true);

    private static readonly Dictionary<string, Entry> Table = new()
    {
        ["upper"] = new((text, _, _) => PyCase.ToUpper(text), 0, []),
        ["lower"] = new((text, _, _) => PyCase.ToLower(text), 0, []),
        ["capitalize"] = new((text, _, _) => PyCase.Capitalize(text), 0, []),
        ["title"] = new((text, _, _) => PyCase.ToTitle(text), 0, []),
        ["swapcase"] = new((text, _, _) => PyCase.SwapCase(text), 0, []),
        ["casefold"] = new((text, _, _) => PyCase.CaseFold(text), 0, []),
        ["strip"] = new((text, given, _) => PyString.Strip(text, given.Text(0, true)), 0, ["/chars"]),
        ["lstrip"] = new((text, given, _) => PyString.StripStart(text, given.Text(0, true)), 0, ["/chars"]),
        ["rstrip"] = new((text, given, _) => PyString.StripEnd(text, given.Text(0, true)), 0, ["/chars"]),
        ["split"] = new((text, given, run) => List(PyString.Split(text, given.Text(0, true), given.Integer(1, -1)), run), 0, ["sep", "maxsplit"]),
        ["rsplit"] = new((text, given, run) => List(PyString.SplitFromEnd(text, given.Text(0, true), given.Integer(1, -1)), run), 0, ["sep", "maxsplit"]),
        ["splitlines"] = new((text, given, run) => List(PyString.SplitLines(text, given.Flag(0)), run), 0, ["keepends"]),
        ["startswith"] = new((text, given, _) => Affix(text, given, true), 1, ["/prefix", "/start", "/end"], false),
        ["endswith"] = new((text, given, _) => Affix(text, given, false), 1, ["/suffix", "/start", "/end"], false),
        ["find"] = new((text, given, _) => PyNumber.Of(Find(text, given, false)), 1, ["/sub", "/start", "/end"], false),
        ["rfind"] = new((text, given, _) => PyNumber.Of(Find(text, given, true)), 1, ["/sub", "/start", "/end"], false),
        ["index"] = new((text, given, _) => Found(Find(text, given, false)), 1, ["/sub", "/start", "/end"], false),
        ["rindex"] = new((text, given, _) => Found(Find(text, given, true)), 1, ["/sub", "/start", "/end"], false),
        ["count"] = new((text, given, _) => PyNumber.Of(Count(text, given)), 1, ["/sub", "/start", "/end"], false),
        ["replace"] = new((text, given, run) => PyString.Replace(text, given.RequiredText(0), given.RequiredText(1), given.Integer(2, -1), run.Meter), 2,
            ["/old", "/new", "/count"]),
        ["join"] = new((text, given, run) => Join(text, given[0]!, run), 1, ["/iterable"]),
        ["center"] = new((text, given, run) => PyString.Pad(text, given.Integer(0, 0), given.Text(1) ?? " ", '^', run.Meter), 1, ["/width", "/fillchar"]),
        ["ljust"] = new((text, given, run) => PyString.Pad(text, given.Integer(0, 0), given.Text(1) ?? " ", '<', run.Meter), 1, ["/width", "/fillchar"]),
        ["rjust"] = new((text, given, run) => PyString.Pad(text, given.Integer(0, 0), given.Text(1) ?? " ", '>', run.Meter), 1, ["/width", "/fillchar"]),
        ["zfill"] = new((text, given, run) => ZeroFill(text, given.Integer(0, 0), run.Meter), 1, ["/width"]),
        ["expandtabs"] = new((text, given, run) => ExpandTabs(text, given.Integer(0, 8), run.Meter), 0, ["tabsize"]),
        ["removeprefix"] = new((text, given, _) => text.StartsWith(given.RequiredText(0), StringComparison.Ordinal)
            ? text[given.RequiredText(0).Length..] : text, 1, ["/prefix"]),
        ["removesuffix"] = new((text, given, _) => text.EndsWith(given.RequiredText(0), StringComparison.Ordinal)
            ? text[..^given.RequiredText(0).Length] : text, 1, ["/suffix"]),
        ["partition"] = new((text, given, _) => Partition(text, given.RequiredText(0), false), 1, ["/sep"]),
        ["rpartition"] = new((text, given, _) => Partition(text, given.RequiredText(0), true), 1, ["/sep"]),
        ["isalpha"] = Is((_, category) => IsLetter(category)),
        ["isalnum"] = Is((rune, category) => IsLetter(category) || category == UnicodeCategory.DecimalDigitNumber || Rune.GetNumericValue(rune) >= 0),
        ["isdigit"] = Is((rune, category) => category == UnicodeCategory.DecimalDigitNumber
            || (rune.IsBmp && CharUnicodeInfo.GetDigitValue((char)rune.Value) >= 0)),
        ["isdecimal"] = Is((_, category) => category == UnicodeCategory.DecimalDigitNumber),
        ["isnumeric"] = Is((rune, category) => category == UnicodeCategory.DecimalDigitNumber || Rune.GetNumericValue(rune) != -1),
        ["isspace"] = Is((rune, _) => rune.IsBmp && PyString.IsSpace((char)rune.Value)),
        ["isascii"] = new((text, _, _) => PyNumber.Flag(Ascii.IsValid(text)), 0, [], false),
        ["isprintable"] = new((text, _, _) => PyNumber.Flag(text.Length == 0
            || PyString.All(text, (rune, category) => rune.Value == ' ' || PyText.IsPrintable(category))), 0, [], false),
        ["isidentifier"] = new((text, _, _) => PyNumber.Flag(text.Length > 0 && (text[0] == '_' || char.IsLetter(text, 0))
            && text.All(c => c == '_' || char.IsLetterOrDigit(c))), 0, [], false),
        ["islower"] = new((text, _, _) => PyNumber.Flag(IsCase(text, upper: false)), 0, [], false),
        ["isupper"] = new((text, _, _) => PyNumber.Flag(IsCase(text, upper: true)), 0, [], false),
        ["istitle"] = new((text, _, _) => PyNumber.Flag(PyString.Letters(text).Any(PyCase.IsCased) && PyCase.ToTitle(text) == text), 0, [], false),
    };

    public static Callable? Find(object owner, string name)
    {
        var text = PyText.AsText(owner)!;
        if (name is "format" or "format_map")
            return new Callable("function", name, (run, given) => Wrap(owner, StringFormat.Apply(owner, name == "format" ? given : Mapped(given), run)));
        if (owner is Markup && name is "striptags" or "unescape")
            return new Callable("method", name, (run, _) => Filters.Unescape(text, name == "striptags", run.Meter));
        if (!Table.TryGetValue(name, out var entry)) return null;
        return new Callable(owner is Markup ? "method" : "builtin_function_or_method", name, (run, given) =>
        {
            if (owner is Markup) given = Escaped(name, given, run.Meter);
            var result = entry.Body(text, new Binding(name, given, entry.Required, entry.Names), run);
            if (result is string made) run.Meter.Spend(made.Length);
            return owner is Markup && entry.KeepsMarkup ? Mark(result) : result;
        });
    }

    public static object Join(string separator, object iterable, Run run)
    {
        var result = new StringBuilder();
        var index = 0;
        foreach (var item in PySequence.Each(iterable, run.Meter))
        {
            var part = PyText.AsText(item) ?? throw PythonError.Type($"sequence item {index}: expected str instance, {PyText.TypeName(item)} found");
            run.Meter.Step();
            run.Meter.Spend(part.Length + separator.Length);
            if (index++ > 0) result.Append(separator);
            result.Append(part);
            if (result.Length > 1 << 27) run.Meter.Spend(long.MaxValue);
        }
        return result.ToString();
    }

    private static Arguments Mapped(Arguments given)
    {
        if (given.NamedCount > 0) throw PythonError.Type("format_map() takes no keyword arguments");
        if (given.Positional.Length != 1) throw PythonError.Type($"format_map() takes exactly one argument ({given.Positional.Length} given)");
        if (given.Positional[0] is not PyDict dict) throw PythonError.Type($"'{PyText.TypeName(given.Positional[0])}' object is not subscriptable");
        return new Arguments([],
            [.. dict.Items.Where(pair => pair.Key is string).Select(pair => new KeyValuePair<string, object>((string)pair.Key, pair.Value))]);
    }

    private static object Wrap(object owner, string text) => owner is Markup ? new Markup(text) : text;

    private static Arguments Escaped(string name, Arguments given, Meter meter)
    {
        var index = name switch { "replace" or "ljust" or "rjust" or "center" => 1, _ => -1 };
        var values = given.Positional;
        if (index >= 0 && index < values.Length)
        {
            values = [.. values];
            values[index] = Markup.Escape(values[index], meter).Text;
        }
        if (name == "join" && values.Length == 1)
            values = [new PyList(PySequence.ToList(values[0], meter).ConvertAll(item => (object)Markup.Escape(item, meter).Text))];
        return given with { Positional = values };
    }

    private static object Mark(object result) => result switch
    {
        string text => new Markup(text),
        PyList list => new PyList(list.Items.ConvertAll(Mark)),
        PyTuple tuple => new PyTuple(Array.ConvertAll(tuple.Items, Mark)),
        _ => result,
    };

    private static PyList List(List<string> parts, Run run)
    {
        run.Meter.SpendItems(parts.Count);
        return new PyList(parts.ConvertAll(part => (object)part));
    }

    private static Entry Is(Func<Rune, UnicodeCategory, bool> test) => new((text, _, _) => PyNumber.Flag(PyString.All(text, test)), 0, [], false);

    private static bool IsLetter(UnicodeCategory category) => category is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter
        or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter;

    public static bool IsCase(string text, bool upper)
    {
        var cased = false;
        foreach (var rune in text.EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            if (category == UnicodeCategory.TitlecaseLetter || category == (upper ? UnicodeCategory.LowercaseLetter : UnicodeCategory.UppercaseLetter))
                return false;
            if (category == (upper ? UnicodeCategory.UppercaseLetter : UnicodeCategory.LowercaseLetter)) cased = true;
        }
        return cased;
    }

    /// <summary>The part of the text between the optional start and end arguments (UTF-16) and the code points before it.</summary>
    private static (string Part, int Before, bool Valid) Range(string text, Binding given)
    {
        if (given[1] is null or None && given[2] is null or None) return (text, 0, true);
        var length = PyString.Length(text);
        var start = Bound(given[1], 0, length);
        var end = Math.Min(Bound(given[2], length, length), length);
        if (start > length || start > end) return ("", start, false);
        var from = PyString.Offset(text, start);
        return (text[from..(from + PyString.Offset(text[from..], end - start))], start, true);
    }

    private static int Bound(object? value, int missing, int length)
    {
        if (value is null or None) return missing;
        if (!PyNumber.IsInteger(value)) throw PythonError.Type("slice indices must be integers or None or have an __index__ method");
        var index = PyNumber.Index(value);
        return index < 0 ? Math.Max(0, index + length) : index;
    }

    private static object Affix(string text, Binding given, bool start)
    {
        var (part, _, valid) = Range(text, given);
        if (given[0] is PyTuple tuple)
            return PyNumber.Flag(valid
                && tuple.Items.Any(item => Matches(PyText.AsText(item)
                    ?? throw PythonError.Type($"tuple for {(start ? "startswith" : "endswith")} must only contain str, not {PyText.TypeName(item)}"))));
        var affix = PyText.AsText(given[0]!)
            ?? throw PythonError.Type($"{(start ? "startswith" : "endswith")} first arg must be str or a tuple of str, not {PyText.TypeName(given[0]!)}");
        return PyNumber.Flag(valid && Matches(affix));

        bool Matches(string affix) => start ? part.StartsWith(affix, StringComparison.Ordinal) : part.EndsWith(affix, StringComparison.Ordinal);
    }

    private static long Find(string text, Binding given, bool last)
    {
        var sought = given[0] is { } value && PyText.AsText(value) is { } known
            ? known : throw PythonError.Type($"must be str, not {PyText.TypeName(given[0]!)}");
        var (part, before, valid) = Range(text, given);
        if (!valid) return -1;
        var at = last ? (sought.Length == 0 ? part.Length : part.LastIndexOf(sought, StringComparison.Ordinal))
            : part.IndexOf(sought, StringComparison.Ordinal);
        return at < 0 ? -1 : before + PyString.Length(part[..at]);
    }

    private static object Found(long at) => at >= 0 ? PyNumber.Of(at) : throw PythonError.Value("substring not found");

    private static long Count(string text, Binding given)
    {
        var sought = PyText.AsText(given[0]!) ?? throw PythonError.Type($"must be str, not {PyText.TypeName(given[0]!)}");
        var (part, _, valid) = Range(text, given);
        if (!valid) return 0;
        if (sought.Length == 0) return PyString.Length(part) + 1;
        var count = 0L;
        for (var at = part.IndexOf(sought, StringComparison.Ordinal); at >= 0; at = part.IndexOf(sought, at + sought.Length, StringComparison.Ordinal)) count++;
        return count;
    }

    private static string ZeroFill(string text, int width, Meter meter)
    {
        var sign = text.Length > 0 && text[0] is '+' or '-' ? text[..1] : "";
        return sign + PyString.Pad(text[sign.Length..], width - sign.Length, "0", '>', meter);
    }

    private static string ExpandTabs(string text, int size, Meter meter)
    {
        var result = new StringBuilder();
        var column = 0;
        foreach (var c in text)
        {
            if (c == '\t')
            {
                var blanks = size > 0 ? size - column % size : 0;
                meter.Spend(blanks);
                meter.Spend(result.Length > 1 << 27 ? long.MaxValue : 0);
                result.Append(' ', blanks);
                column += blanks;
                continue;
            }
            result.Append(c);
            column = c is '\n' or '\r' ? 0 : column + (char.IsLowSurrogate(c) ? 0 : 1);
        }
        return result.ToString();
    }

    private static PyTuple Partition(string text, string separator, bool last)
    {
        if (separator.Length == 0) throw PythonError.Value("empty separator");
        var at = last ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0) return last ? new PyTuple(["", "", text]) : new PyTuple([text, "", ""]);
        return new PyTuple([text[..at], separator, text[(at + separator.Length)..]]);
    }
}
