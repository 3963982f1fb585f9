using System.Numerics;

namespace Trainer.Templates.Jinja;

// Python values as .NET objects: bool, long (BigInteger beyond), double, string; the classes below for the rest.
// A C# null is "missing": a variable slot that nothing was stored in. It is never a value.

/// <summary>Python's None.</summary>
internal sealed class None
{
    private None() { }

    public static readonly None Value = new();
}

/// <summary>A string marked as safe HTML (markupsafe.Markup): it escapes what is added to it.</summary>
internal sealed class Markup(string text)
{
    public string Text { get; } = text;

    public static string Escape(string text)
    {
        if (text.AsSpan().IndexOfAny("&<>'\"") < 0) return text;
        return text.Replace("&", "&amp;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal).Replace("'", "&#39;", StringComparison.Ordinal)
            .Replace("\"", "&#34;", StringComparison.Ordinal);
    }

    public static Markup Escape(object value, Meter meter) => value switch
    {
        Markup markup => markup,
        _ => new Markup(Escape(PyText.Str(value, meter))),
    };
}

internal sealed class PyList(List<object> items)
{
    public List<object> Items { get; } = items;
}

internal sealed class PyTuple(object[] items, string[]? fields = null)
{
    public object[] Items { get; } = items;

    /// <summary>A named tuple's item, as groupby's results have.</summary>
    public object? Field(string name) => fields is null || Array.IndexOf(fields, name) is not (>= 0 and var index) ? null : Items[index];
}

internal sealed class PyDict(Meter meter)
{
    public OrderedDictionary<object, object> Items { get; } = new(meter.Keys);
}

/// <summary>Python's range, bounded by the sandbox.</summary>
internal sealed class PyRange(BigInteger start, BigInteger stop, BigInteger step)
{
    public BigInteger Start { get; } = start;

    public BigInteger Stop { get; } = stop;

    public BigInteger Step { get; } = step;

    public BigInteger Length { get; } = step.Sign > 0
        ? (stop > start ? (stop - start - 1) / step + 1 : 0)
        : (start > stop ? (start - stop - 1) / -step + 1 : 0);

    public object At(BigInteger index) => PyNumber.Normal(Start + index * Step);
}

/// <summary>An iterator that can be walked once.</summary>
internal sealed class Generator(IEnumerable<object> source, string typeName = "generator")
{
    public string TypeName { get; } = typeName;

    public IEnumerator<object> Iterator { get; } = source.GetEnumerator();
}

/// <summary>dict.keys(), .values() or .items(): a live view.</summary>
internal sealed class DictView(PyDict dict, char part)
{
    public PyDict Dict { get; } = dict;

    public string TypeName => part switch { 'k' => "dict_keys", 'v' => "dict_values", _ => "dict_items" };

    public bool IsKeys => part == 'k';

    public bool IsItems => part == 'i';

    public IEnumerable<object> Values()
    {
        foreach (var pair in Dict.Items)
            yield return part switch { 'k' => pair.Key, 'v' => pair.Value, _ => new PyTuple([pair.Key, pair.Value]) };
    }
}

internal sealed class Namespace(PyDict attributes)
{
    public PyDict Attributes { get; } = attributes;
}

/// <summary>jinja2's Undefined: prints as nothing, is false and empty; anything else with it raises.</summary>
internal sealed class Undefined(string? hint, object? owner = null, object? name = null, string kind = "UndefinedError")
{
    public static Undefined Named(string name) => new(null, null, name);

    public PythonError Error(Meter meter) => new(kind, Message(meter));

    private string Message(Meter meter)
    {
        if (hint != null) return hint;
        var shown = name is null ? "None" : PyText.Repr(name, meter);
        if (owner is null) return $"{shown} is undefined";
        var type = owner is Jinja.None ? "None" : $"{PyText.QualifiedTypeName(owner)} object";
        return name is string ? $"{PyText.Repr(type, meter)} has no attribute {shown}" : $"{type} has no element {shown}";
    }
}

/// <summary>The values of a call.</summary>
internal readonly record struct Arguments(object[] Positional, List<KeyValuePair<string, object>>? Named = null)
{
    public static readonly Arguments None = new([]);

    public int NamedCount => Named?.Count ?? 0;
}

/// <summary>A function or bound method of ours.</summary>
internal sealed class Callable(string typeName, string name, Func<Run, Arguments, object> body)
{
    public string TypeName { get; } = typeName;

    public string Name { get; } = name;

    public object Call(Run run, Arguments arguments) => body(run, arguments);
}

internal sealed class Cycler(object[] items)
{
    private int _position;

    public object Current => items[_position];

    public object Next()
    {
        var value = items[_position];
        _position = (_position + 1) % items.Length;
        return value;
    }

    public void Reset() => _position = 0;
}

internal sealed class Joiner(object separator)
{
    private bool _used;

    public object Next()
    {
        if (_used) return separator;
        _used = true;
        return "";
    }
}
