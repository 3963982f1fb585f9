using System.Numerics;

namespace Trainer.Templates.Jinja;

/// <summary>The names every template has: jinja2's own without the random <c>lipsum</c>, and the two of transformers.</summary>
internal static class Globals
{
    private const int LargestRange = 100_000;

    private static readonly Dictionary<string, object> Table = new()
    {
        ["range"] = new Callable("function", "range", (_, given) =>
        {
            if (given.NamedCount > 0) throw PythonError.Type("safe_range() got an unexpected keyword argument");
            var count = given.Positional.Length;
            if (count is 0 or > 3)
                throw PythonError.Type(count == 0 ? "range expected at least 1 argument, got 0" : $"range expected at most 3 arguments, got {count}");
            var parts = Array.ConvertAll(given.Positional, Whole);
            if (count == 3 && parts[2].IsZero) throw PythonError.Value("range() arg 3 must not be zero");
            var range = new PyRange(count == 1 ? 0 : parts[0], count == 1 ? parts[0] : parts[1], count == 3 ? parts[2] : 1);
            return range.Length <= LargestRange ? range
                : throw new PythonError("OverflowError", $"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LargestRange}).");
        }),
        ["dict"] = new Callable("type", "dict", (run, given) => Dict(run, given)),
        ["namespace"] = new Callable("type", "Namespace", (run, given) => new Namespace(Dict(run, given))),
        ["cycler"] = new Callable("type", "Cycler",
            (_, given) => given.Positional.Length > 0
            ? new Cycler(given.Positional) : throw new PythonError("RuntimeError", "at least one item has to be provided")),
        ["joiner"] = new Callable("type", "Joiner", (_, given) => new Joiner(new Binding("Joiner.__init__", given, 0, "sep").Get(0, ", "))),
        ["raise_exception"] = new Callable("function", "raise_exception", (run, given) =>
            throw new PythonError("TemplateError", PyText.Str(new Binding("raise_exception", given, 1, "message")[0]!, run.Meter))),
        ["strftime_now"] = new Callable("function", "strftime_now", (run, given) =>
            TimeFormat.Format(run.Now(), new Binding("strftime_now", given, 1, "format").RequiredText(0))),
    };

    public static object? Find(string name) => Table.GetValueOrDefault(name);

    private static BigInteger Whole(object value)
    {
        if (value is Undefined) throw PythonError.Type("'Undefined' object cannot be interpreted as an integer");
        return PyNumber.Big(value);
    }

    private static PyDict Dict(Run run, Arguments given)
    {
        if (given.Positional.Length > 1) throw PythonError.Type($"dict expected at most 1 argument, got {given.Positional.Length}");
        var dict = new PyDict(run.Meter);
        if (given.Positional.Length == 1)
        {
            switch (given.Positional[0])
            {
                case PyDict other:
                    foreach (var (key, value) in other.Items) dict.Items[key] = value;
                    break;
                case Undefined: break;
                default: AddPairs(run, dict, given.Positional[0]); break;
            }
        }
        foreach (var (key, value) in given.Named ?? []) dict.Items[key] = value;
        return dict;
    }

    private static void AddPairs(Run run, PyDict dict, object pairs)
    {
        var index = 0;
        foreach (var pair in PySequence.Each(pairs, run.Meter))
        {
            if (!PySequence.TryIterate(pair, run.Meter, out _))
                throw PythonError.Type($"cannot convert dictionary update sequence element #{index} to a sequence");
            var parts = PySequence.ToList(pair, run.Meter);
            if (parts.Count != 2) throw PythonError.Value($"dictionary update sequence element #{index} has length {parts.Count}; 2 is required");
            dict.Items[parts[0]] = parts[1];
            index++;
        }
    }
}
