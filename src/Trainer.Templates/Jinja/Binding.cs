namespace Trainer.Templates.Jinja;

/// <summary>The parameters of a function of ours: Python's matching of positional and named arguments.</summary>
internal readonly struct Binding
{
    private readonly object?[] _values;
    private readonly string _function;

    /// <param name="function">Name for messages.</param>
    /// <param name="given">The arguments.</param>
    /// <param name="required">How many must be given.</param>
    /// <param name="names">Parameter names in order; one that starts with '/' is positional only.</param>
    public Binding(string function, Arguments given, int required, params ReadOnlySpan<string> names)
    {
        _function = function;
        _values = new object?[names.Length];
        if (given.Positional.Length > names.Length)
            throw PythonError.Type($"{function}() takes {(required == names.Length ? "" : "at most ")}{names.Length} positional "
                + $"argument{(names.Length == 1 ? "" : "s")} but {given.Positional.Length} were given");
        given.Positional.CopyTo(_values, 0);
        foreach (var (key, value) in given.Named ?? [])
        {
            var index = names.IndexOf(key);
            if (index < 0) throw PythonError.Type($"{function}() got an unexpected keyword argument '{key}'");
            if (_values[index] != null) throw PythonError.Type($"{function}() got multiple values for argument '{key}'");
            _values[index] = value;
        }
        for (var i = 0; i < required; i++)
            if (_values[i] is null) throw PythonError.Type($"{function}() missing 1 required positional argument: '{names[i].TrimStart('/')}'");
    }

    public object? this[int index] => _values[index];

    public object Get(int index, object fallback) => _values[index] ?? fallback;

    public bool Flag(int index, bool fallback = false) => _values[index] is { } value ? PyCompare.Truth(value) : fallback;

    public int Integer(int index, int fallback)
    {
        if (_values[index] is not { } value) return fallback;
        if (!PyNumber.IsInteger(value)) throw PythonError.Type($"'{PyText.TypeName(value)}' object cannot be interpreted as an integer");
        return PyNumber.Index(value);
    }

    /// <summary>A str argument; null where it is absent or None and that is allowed.</summary>
    public string? Text(int index, bool optional = false)
    {
        if (_values[index] is not { } value || (optional && value is None)) return null;
        return PyText.AsText(value) ?? throw PythonError.Type($"{_function}() argument {index + 1} must be str, not {PyText.TypeName(value)}");
    }

    public string RequiredText(int index) => Text(index)!;
}
