namespace Trainer.Templates.Jinja;

/// <summary>len(), iter(), indexing and slicing.</summary>
internal static class PySequence
{
    public static bool TryIterate(object value, Meter meter, out IEnumerator<object> items)
    {
        items = value switch
        {
            PyList list => Items(list).GetEnumerator(),
            PyTuple tuple => ((IEnumerable<object>)tuple.Items).GetEnumerator(),
            PyDict dict => dict.Items.Keys.GetEnumerator(),
            string text => PyString.Letters(text).GetEnumerator(),
            Markup markup => PyString.Letters(markup.Text).GetEnumerator(),
            Undefined => ((IEnumerable<object>)[]).GetEnumerator(),
            Generator generator => generator.Iterator,
            DictView view => view.Values().GetEnumerator(),
            PyRange range => Numbers(range).GetEnumerator(),
            LoopContext loop => loop.Rest(meter).GetEnumerator(),
            _ => null!,
        };
        return items != null;
    }

    /// <summary>iter(value), or Python's TypeError.</summary>
    public static IEnumerator<object> Iterate(object value, Meter meter) =>
        TryIterate(value, meter, out var items) ? items : throw PythonError.Type($"'{PyText.TypeName(value)}' object is not iterable");

    public static IEnumerable<object> Each(object value, Meter meter)
    {
        var items = Iterate(value, meter);
        while (items.MoveNext()) yield return items.Current;
    }

    /// <summary>list(value), paid for.</summary>
    public static List<object> ToList(object value, Meter meter)
    {
        if (value is PyList known)
        {
            meter.SpendItems(known.Items.Count);
            return [.. known.Items];
        }
        var result = new List<object>();
        var items = Iterate(value, meter);
        while (items.MoveNext())
        {
            meter.Step();
            result.Add(items.Current);
        }
        return result;
    }

    public static long? TryLength(object value) => value switch
    {
        string text => PyString.Length(text),
        PyList list => list.Items.Count,
        PyDict dict => dict.Items.Count,
        PyTuple tuple => tuple.Items.Length,
        Markup markup => PyString.Length(markup.Text),
        Undefined => 0,
        DictView view => view.Dict.Items.Count,
        PyRange range => (long)range.Length,
        LoopContext loop => loop.Length,
        _ => null,
    };

    public static long Length(object value) =>
        TryLength(value) ?? throw PythonError.Type($"object of type '{PyText.TypeName(value)}' has no len()");

    /// <summary>value[index] as Python does it, null where it raises TypeError or a LookupError.</summary>
    public static object? TryItem(object value, object index, Meter meter)
    {
        switch (value)
        {
            case PyDict dict:
                if (index is PyList or PyDict) return null;
                return dict.Items.TryGetValue(index, out var found) ? found : null;
            case Undefined undefined: throw undefined.Error(meter);
            case PyRange range when PyNumber.IsInteger(index):
                var at = PyNumber.Big(index);
                if (at.Sign < 0) at += range.Length;
                return at.Sign < 0 || at >= range.Length ? null : range.At(at);
        }
        if (!PyNumber.IsInteger(index)) return null;
        var position = PyNumber.Index(index);
        switch (value)
        {
            case string text: return PyString.At(text, position);
            case Markup markup: return PyString.At(markup.Text, position) is { } letter ? new Markup(letter) : null;
            case PyList list: return At(list.Items, position);
            case PyTuple tuple: return At(tuple.Items, position);
            default: return null;
        }
    }

    public static object Slice(object value, object start, object stop, object step, Meter meter)
    {
        if (value is Undefined undefined) throw undefined.Error(meter);
        if (value is PyDict) throw PythonError.Type("unhashable type: 'slice'");
        if (value is not (string or Markup or PyList or PyTuple or PyRange)) throw PythonError.Type($"'{PyText.TypeName(value)}' object is not subscriptable");
        var slice = PySlice.From(start, stop, step);
        switch (value)
        {
            case string text: return PyString.Slice(text, slice);
            case Markup markup: return new Markup(PyString.Slice(markup.Text, slice));
            case PyList list: return new PyList([.. Cut(list.Items, slice, meter)]);
            case PyTuple tuple: return new PyTuple(Cut(tuple.Items, slice, meter));
            default:
                var range = (PyRange)value;
                var (first, count, by) = slice.Over((int)range.Length);
                return new PyRange(range.Start + first * range.Step, range.Start + (first + (long)count * by) * range.Step, range.Step * by);
        }
    }

    public static Generator Reversed(object value, Meter meter)
    {
        switch (value)
        {
            case PyList list: return new(((IEnumerable<object>)list.Items).Reverse(), "list_reverseiterator");
            case PyTuple tuple: return new(tuple.Items.AsEnumerable().Reverse(), "reversed");
            case string or Markup: return new(PyString.Letters(PyText.AsText(value)!).Reverse(), "reversed");
            case PyDict dict: return new(dict.Items.Keys.Reverse(), "dict_reversekeyiterator");
            case DictView view: return new(view.Values().Reverse(), "dict_reversevalueiterator");
            case PyRange range: return new(Numbers(range).Reverse(), "range_iterator");
            case Undefined: return new([], "reversed");
            default: throw PythonError.Type($"'{PyText.TypeName(value)}' object is not reversible");
        }
    }

    private static object? At(IReadOnlyList<object> items, int index)
    {
        if (index < 0) index += items.Count;
        return index < 0 || index >= items.Count ? null : items[index];
    }

    private static object[] Cut(IReadOnlyList<object> items, PySlice slice, Meter meter)
    {
        var (start, count, step) = slice.Over(items.Count);
        meter.SpendItems(count);
        var result = new object[count];
        for (var i = 0; i < count; i++) result[i] = items[start + i * step];
        return result;
    }

    private static IEnumerable<object> Items(PyList list)
    {
        for (var i = 0; i < list.Items.Count; i++) yield return list.Items[i];
    }

    public static IEnumerable<object> Numbers(PyRange range)
    {
        for (var i = 0L; i < range.Length; i++) yield return range.At(i);
    }
}
