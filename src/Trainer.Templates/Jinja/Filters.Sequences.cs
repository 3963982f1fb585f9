namespace Trainer.Templates.Jinja;

internal static partial class Filters
{
    /// <summary>Looks up a dotted attribute; numbers in it are indices.</summary>
    private static Func<object, object> Getter(object? attribute, Run run, bool ignoreCase = false, object? fallback = null)
    {
        var parts = attribute switch
        {
            null or None => [],
            _ when PyText.AsText(attribute) is { } text => text.Split('.').Select(Part).ToArray(),
            _ => [attribute],
        };
        return item =>
        {
            foreach (var part in parts)
            {
                item = PyAttributes.Item(item, part, run.Meter);
                if (item is Undefined && fallback != null) item = fallback;
            }
            return ignoreCase ? IgnoreCase(item) : item;
        };
    }

    private static object Part(string part) => part.Length > 0 && part.All(char.IsDigit) ? PyNumber.ParseInt(part, 10)! : part;

    private static object IgnoreCase(object value) => value switch
    {
        string text => PyCase.ToLower(text),
        Markup markup => new Markup(PyCase.ToLower(markup.Text)),
        _ => value,
    };

    private static IEnumerable<object> Items(object value)
    {
        if (value is Undefined) yield break;
        if (value is not PyDict dict) throw PythonError.Type("Can only get item pairs from a mapping.");
        foreach (var (key, item) in dict.Items) yield return new PyTuple([key, item]);
    }

    private static IEnumerable<object> Map(Run run, object value, Arguments given)
    {
        if (!PyCompare.Truth(value)) yield break;
        Func<object, object> change;
        if (given.Positional.Length == 0 && given.Named?.Exists(pair => pair.Key == "attribute") == true)
        {
            if (given.Named.Find(pair => pair.Key is not ("attribute" or "default")).Key is { } other)
                throw new PythonError("FilterArgumentError", $"Unexpected keyword argument '{other}'");
            var fallback = given.Named.Find(pair => pair.Key == "default").Value;
            change = Getter(given.Named.Find(pair => pair.Key == "attribute").Value, run, fallback: fallback is None ? null : fallback);
        }
        else
        {
            if (given.Positional.Length == 0) throw new PythonError("FilterArgumentError", "map requires a filter argument");
            var rest = given with { Positional = given.Positional[1..] };
            var name = PyText.Str(given.Positional[0], run.Meter);
            change = item => (Find(name) ?? throw new PythonError("TemplateRuntimeError", $"No filter named '{name}'."))(run, item, rest);
        }
        foreach (var item in PySequence.Each(value, run.Meter))
        {
            run.Meter.Step();
            yield return change(item);
        }
    }

    private static IEnumerable<object> Select(Run run, object value, Arguments given, bool attribute, bool keep)
    {
        if (!PyCompare.Truth(value)) yield break;
        var positional = given.Positional;
        Func<object, object> subject = item => item;
        if (attribute)
        {
            if (positional.Length == 0) throw new PythonError("FilterArgumentError", "Missing parameter for attribute name");
            subject = Getter(positional[0], run);
            positional = positional[1..];
        }
        Func<object, bool> holds = PyCompare.Truth;
        if (positional.Length > 0)
        {
            var name = PyText.Str(positional[0], run.Meter);
            var rest = given with { Positional = positional[1..] };
            holds = item => PyCompare.Truth((Tests.Find(name) ?? throw new PythonError("TemplateRuntimeError", $"No test named '{name}'."))(run, item, rest));
        }
        foreach (var item in PySequence.Each(value, run.Meter))
        {
            run.Meter.Step();
            if (holds(subject(item)) == keep) yield return item;
        }
    }

    private static Generator Batch(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_batch", given, 1, "linecount", "fill_with");
        return new Generator(Lines());

        IEnumerable<object> Lines()
        {
            var size = binding[0]!;
            var fill = binding.Get(1, None.Value);
            var line = new List<object>();
            foreach (var item in PySequence.Each(value, run.Meter))
            {
                run.Meter.Step();
                if (PyCompare.Equal(PyNumber.Of(line.Count), size, run.Meter))
                {
                    yield return new PyList(line);
                    line = [];
                }
                line.Add(item);
            }
            if (line.Count == 0) yield break;
            if (fill is not None && PyCompare.Order("<", PyNumber.Of(line.Count), size, run.Meter))
            {
                var missing = PyNumber.Index(size) - line.Count;
                run.Meter.SpendItems(missing);
                line.AddRange(Enumerable.Repeat(fill, missing));
            }
            yield return new PyList(line);
        }
    }

    private static IEnumerable<object> Slices(Run run, object value, Binding binding)
    {
        var items = PySequence.ToList(value, run.Meter);
        var slices = binding.Integer(0, 0);
        var fill = binding.Get(1, None.Value);
        if (slices == 0) throw new PythonError("ZeroDivisionError", "integer division or modulo by zero");
        if (slices < 0) yield break;
        var (each, extra) = (items.Count / slices, items.Count % slices);
        var offset = 0;
        for (var i = 0; i < slices; i++)
        {
            run.Meter.Step();
            var start = offset + i * each;
            if (i < extra) offset++;
            var slice = items[Math.Min(start, items.Count)..Math.Min(offset + (i + 1) * each, items.Count)];
            if (fill is not None && i >= extra) slice.Add(fill);
            yield return new PyList(slice);
        }
    }

    private static PyList DictSort(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_dictsort", given, 0, "case_sensitive", "by", "reverse");
        var by = binding.Get(1, "key");
        if (by is not ("key" or "value")) throw new PythonError("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
        if (value is Undefined undefined) throw undefined.Error(run.Meter);
        if (value is not PyDict dict) throw new PythonError("AttributeError", $"'{PyText.TypeName(value)}' object has no attribute 'items'");
        var items = dict.Items.Select(pair => (object)new PyTuple([pair.Key, pair.Value])).ToList();
        var position = by is "key" ? 0 : 1;
        return SortBy(items, item => binding.Flag(0) ? ((PyTuple)item).Items[position] : IgnoreCase(((PyTuple)item).Items[position]), binding.Flag(2), run);
    }

    private static PyList Sort(Run run, object value, Arguments given)
    {
        var binding = new Binding("do_sort", given, 0, "reverse", "case_sensitive", "attribute");
        var attribute = binding.Get(2, None.Value);
        var fold = !binding.Flag(1);
        object[] attributes = PyText.AsText(attribute) is { } text ? text.Split(',') : [attribute];
        var getters = Array.ConvertAll(attributes, part => Getter(part, run, fold));
        return SortBy(PySequence.ToList(value, run.Meter), item => new PyList([.. getters.Select(getter => getter(item))]), binding.Flag(0), run);
    }

    private static PyList SortBy(List<object> items, Func<object, object> key, bool reverse, Run run)
    {
        var keyed = items.ConvertAll(item => (Key: key(item), Item: item));
        if (reverse) keyed.Reverse();
        keyed = Sorting.Sort(keyed, (a, b) =>
        {
            run.Meter.Step();
            return PyCompare.Order("<", a.Key, b.Key, run.Meter);
        });
        if (reverse) keyed.Reverse();
        return new PyList(keyed.ConvertAll(pair => pair.Item));
    }

    private static readonly string[] GroupFields = ["grouper", "list"];

    private static PyList GroupBy(Run run, object value, Arguments given)
    {
        var binding = new Binding("sync_do_groupby", given, 1, "attribute", "default", "case_sensitive");
        var fallback = binding.Get(1, None.Value) is not None and var set ? set : null;
        var fold = !binding.Flag(2);
        var key = Getter(binding[0], run, fold, fallback);
        var exact = Getter(binding[0], run, fallback: fallback);
        var groups = new List<object>();
        List<object>? current = null;
        object? currentKey = null;
        foreach (var item in SortBy(PySequence.ToList(value, run.Meter), key, false, run).Items)
        {
            var itemKey = key(item);
            if (current is null || !PyCompare.Same(currentKey!, itemKey, run.Meter))
            {
                (current, currentKey) = ([], itemKey);
                groups.Add(new PyTuple([fold ? exact(item) : itemKey, new PyList(current)], GroupFields));
            }
            current.Add(item);
        }
        return new PyList(groups);
    }

    private static IEnumerable<object> Unique(Run run, object value, Binding binding)
    {
        var key = Getter(binding[1], run, !binding.Flag(0));
        var seen = new HashSet<object>(run.Meter.Keys);
        foreach (var item in PySequence.Each(value, run.Meter))
        {
            run.Meter.Step();
            if (seen.Add(key(item))) yield return item;
        }
    }

    private static object Extreme(string name, Run run, object value, Arguments given)
    {
        var binding = new Binding("do_" + name, given, 0, "case_sensitive", "attribute");
        var key = Getter(binding[1], run, !binding.Flag(0));
        object? best = null, bestKey = null;
        foreach (var item in PySequence.Each(value, run.Meter))
        {
            run.Meter.Step();
            var itemKey = key(item);
            if (best is null || PyCompare.Order(name == "max" ? ">" : "<", itemKey, bestKey!, run.Meter)) (best, bestKey) = (item, itemKey);
        }
        return best ?? new Undefined("No aggregated item, sequence was empty.");
    }

    private static object Sum(Run run, object value, Arguments given)
    {
        var binding = new Binding("sync_do_sum", given, 0, "attribute", "start");
        var total = binding.Get(1, PyNumber.Of(0));
        if (PyText.AsText(total) != null) throw PythonError.Type("sum() can't sum strings [use ''.join(seq) instead]");
        var items = PySequence.Each(value, run.Meter);
        if (binding.Get(0, None.Value) is not None and var attribute) items = items.Select(Getter(attribute, run));
        foreach (var item in items)
        {
            run.Meter.Step();
            total = PyArithmetic.Apply("+", total, item, run);
        }
        return total;
    }
}
