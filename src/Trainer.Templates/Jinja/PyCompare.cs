using System.Numerics;

namespace Trainer.Templates.Jinja;

/// <summary>Python's comparisons and truth.</summary>
internal static class PyCompare
{
    public static bool Truth(object value) => value switch
    {
        bool flag => flag,
        string text => text.Length > 0,
        None or Undefined => false,
        long number => number != 0,
        double real => real != 0,
        PyList list => list.Items.Count > 0,
        PyDict dict => dict.Items.Count > 0,
        PyTuple tuple => tuple.Items.Length > 0,
        Markup markup => markup.Text.Length > 0,
        DictView view => view.Dict.Items.Count > 0,
        PyRange range => !range.Length.IsZero,
        LoopContext loop => loop.Length > 0,
        BigInteger => true,
        _ => true,
    };

    public static bool Equal(object left, object right, Meter meter)
    {
        if (PyText.AsText(left) is { } text) return PyText.AsText(right) is { } other && text == other;
        if (PyNumber.IsNumber(left)) return PyNumber.IsNumber(right) && PyNumber.Compare(left, right) == 0;
        switch (left)
        {
            case PyList a: return right is PyList b && (ReferenceEquals(a, b) || Equal(a.Items, b.Items, meter));
            case PyTuple a: return right is PyTuple d && (ReferenceEquals(a, d) || Equal(a.Items, d.Items, meter));
            case PyDict a:
                if (right is not PyDict e || a.Items.Count != e.Items.Count) return false;
                if (ReferenceEquals(a, e)) return true;
                meter.Step();
                foreach (var pair in a.Items)
                    if (!e.Items.TryGetValue(pair.Key, out var value) || !Same(pair.Value, value, meter)) return false;
                return true;
            case Undefined: return right is Undefined;
            case PyRange a:
                return right is PyRange f && a.Length == f.Length
                    && (a.Length.IsZero || (a.Start == f.Start && (a.Length.IsOne || a.Step == f.Step)));
            case DictView { IsKeys: true } or DictView { IsItems: true }:
                if (right is not DictView g || g.TypeName != ((DictView)left).TypeName) return false;
                var others = g.Values().ToHashSet(meter.Keys);
                return others.SetEquals(((DictView)left).Values());
            default: return ReferenceEquals(left, right);
        }
    }

    /// <summary>Equality inside a container: the same object is equal to itself, even a NaN.</summary>
    public static bool Same(object left, object right, Meter meter) => ReferenceEquals(left, right) || Equal(left, right, meter);

    public static bool Contains(object container, object value, Meter meter)
    {
        if (PyText.AsText(container) is { } text)
        {
            if (PyText.AsText(value) is { } part) return text.Contains(part, StringComparison.Ordinal);
            throw PythonError.Type($"'in <string>' requires string as left operand, not {PyText.TypeName(value)}");
        }
        switch (container)
        {
            case PyDict dict: return dict.Items.ContainsKey(value);
            case DictView { IsKeys: true } view: return view.Dict.Items.ContainsKey(value);
            case PyRange range when value is long or BigInteger or bool:
                var number = PyNumber.Big(value);
                if (range.Step.Sign > 0 ? number < range.Start || number >= range.Stop : number > range.Start || number <= range.Stop) return false;
                return ((number - range.Start) % range.Step).IsZero;
        }
        if (!PySequence.TryIterate(container, meter, out var items))
            throw PythonError.Type($"argument of type '{PyText.TypeName(container)}' is not iterable");
        while (items.MoveNext())
            if (Same(items.Current, value, meter)) return true;
        return false;
    }

    /// <summary>One of <c>&lt; &lt;= &gt; &gt;=</c>.</summary>
    public static bool Order(string sign, object left, object right, Meter meter)
    {
        if (PyNumber.IsNumber(left) && PyNumber.IsNumber(right))
        {
            if (left is double and double.NaN || right is double and double.NaN) return false;
            return Holds(sign, PyNumber.Compare(left, right));
        }
        if (PyText.AsText(left) is { } a && PyText.AsText(right) is { } b) return Holds(sign, PyString.CompareCodePoints(a, b));
        if (left is Undefined first) throw first.Error(meter);
        if (right is Undefined second) throw second.Error(meter);
        if (left is PyList m && right is PyList n) return Order(sign, m.Items, n.Items, meter);
        if (left is PyTuple p && right is PyTuple q) return Order(sign, p.Items, q.Items, meter);
        throw PythonError.Type($"'{sign}' not supported between instances of '{PyText.TypeName(left)}' and '{PyText.TypeName(right)}'");
    }

    private static bool Order(string sign, IReadOnlyList<object> left, IReadOnlyList<object> right, Meter meter)
    {
        meter.Step();
        for (var i = 0; i < left.Count && i < right.Count; i++)
            if (!Same(left[i], right[i], meter)) return Order(sign, left[i], right[i], meter);
        return Holds(sign, left.Count.CompareTo(right.Count));
    }

    private static bool Holds(string sign, int comparison) => sign switch
    {
        "<" => comparison < 0,
        "<=" => comparison <= 0,
        ">" => comparison > 0,
        _ => comparison >= 0,
    };

    private static bool Equal(IReadOnlyList<object> left, IReadOnlyList<object> right, Meter meter)
    {
        if (left.Count != right.Count) return false;
        meter.Step();
        for (var i = 0; i < left.Count; i++)
            if (!Same(left[i], right[i], meter)) return false;
        return true;
    }
}
