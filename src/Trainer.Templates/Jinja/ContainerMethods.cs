namespace Trainer.Templates.Jinja;

/// <summary>The methods of dict, list and tuple that change nothing.</summary>
internal static class ContainerMethods
{
    private const string Builtin = "builtin_function_or_method";

    public static Callable? Find(PyDict dict, string name) => name switch
    {
        "items" => View(dict, name, 'i'),
        "keys" => View(dict, name, 'k'),
        "values" => View(dict, name, 'v'),
        "get" => new Callable(Builtin, name, (run, given) =>
        {
            var binding = new Binding("get", given, 1, "/key", "/default");
            return dict.Items.TryGetValue(binding[0]!, out var value) ? value : binding.Get(1, None.Value);
        }),
        "copy" => new Callable(Builtin, name, (run, _) =>
        {
            var copy = new PyDict(run.Meter);
            run.Meter.Spend(dict.Items.Count);
            foreach (var (key, value) in dict.Items) copy.Items[key] = value;
            return copy;
        }),
        "fromkeys" => new Callable(Builtin, name, (run, given) =>
        {
            var binding = new Binding("fromkeys", given, 1, "/iterable", "/value");
            var made = new PyDict(run.Meter);
            foreach (var key in PySequence.Each(binding[0]!, run.Meter))
            {
                run.Meter.Step();
                made.Items[key] = binding.Get(1, None.Value);
            }
            return made;
        }),
        _ => null,
    };

    private static Callable View(PyDict dict, string name, char part) => new(Builtin, name, (run, given) =>
    {
        _ = new Binding(name, given, 0);
        return new DictView(dict, part);
    });

    /// <summary>The methods of a range.</summary>
    public static Callable? Find(IEnumerable<object> numbers, string name) =>
        name is "count" or "index" ? new Callable(Builtin, name, (run, given) => Find([.. numbers], name, isList: true)!.Call(run, given)) : null;

    public static Callable? Find(IReadOnlyList<object> items, string name, bool isList) => name switch
    {
        "count" => new Callable(Builtin, name, (run, given) =>
        {
            var sought = new Binding(name, given, 1, "/value")[0]!;
            run.Meter.Spend(items.Count * 16L);
            return PyNumber.Of(items.Count(item => PyCompare.Same(item, sought, run.Meter)));
        }),
        "index" => new Callable(Builtin, name, (run, given) =>
        {
            var binding = new Binding(name, given, 1, "/value", "/start", "/stop");
            var start = Position(binding.Integer(1, 0), items.Count);
            var stop = Math.Min(Position(binding.Integer(2, int.MaxValue), items.Count), items.Count);
            run.Meter.Spend(items.Count * 16L);
            for (var i = start; i < stop; i++)
                if (PyCompare.Same(items[i], binding[0]!, run.Meter)) return PyNumber.Of(i);
            throw PythonError.Value(isList ? $"{PyText.Repr(binding[0]!, run.Meter)} is not in list" : "tuple.index(x): x not in tuple");
        }),
        "copy" when isList => new Callable(Builtin, name, (run, _) =>
        {
            run.Meter.Spend(items.Count);
            return new PyList([.. items]);
        }),
        _ => null,
    };

    private static int Position(int index, int count) => index < 0 ? Math.Max(0, index + count) : index;
}
