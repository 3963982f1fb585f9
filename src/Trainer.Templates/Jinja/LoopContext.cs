namespace Trainer.Templates.Jinja;

/// <summary>The <c>loop</c> variable: it owns the iteration and looks ahead only where asked to.</summary>
internal sealed class LoopContext(object iterable, IEnumerator<object> items, int depth0, Func<object, int, object>? recurse)
{
    private IEnumerator<object> _items = items;
    private long? _length;
    private object? _after;
    private object? _before;
    private object? _current;
    private object[]? _lastChanged;

    public long Index0 { get; private set; } = -1;

    public int Depth0 => depth0;

    public object Current => _current!;

    public bool MoveNext(Meter meter)
    {
        meter.Step();
        var next = _after;
        _after = null;
        if (next is null)
        {
            if (!_items.MoveNext()) return false;
            next = _items.Current;
        }
        Index0++;
        _before = _current;
        _current = next;
        return true;
    }

    /// <summary>Iterating <c>loop</c> itself takes the rest of the loop: pairs of item and loop.</summary>
    public IEnumerable<object> Rest(Meter meter)
    {
        while (MoveNext(meter)) yield return new PyTuple([_current!, this]);
    }

    public long Length
    {
        get
        {
            if (_length is { } known) return known;
            if (PySequence.TryLength(iterable) is { } length) return (_length = length).Value;
            var rest = new List<object>();
            while (_items.MoveNext()) rest.Add(_items.Current);
            _items = rest.GetEnumerator();
            return (_length = rest.Count + Index0 + 1 + (_after is null ? 0 : 1)).Value;
        }
    }

    public object? Attribute(string name) => name switch
    {
        "index" => PyNumber.Of(Index0 + 1),
        "index0" => PyNumber.Of(Index0),
        "revindex" => PyNumber.Of(Length - Index0),
        "revindex0" => PyNumber.Of(Length - Index0 - 1),
        "first" => PyNumber.Flag(Index0 == 0),
        "last" => PyNumber.Flag(Peek() is null),
        "length" => PyNumber.Of(Length),
        "depth" => PyNumber.Of(depth0 + 1),
        "depth0" => PyNumber.Of(depth0),
        "previtem" => Index0 == 0 ? new Undefined("there is no previous item") : _before,
        "nextitem" => Peek() ?? new Undefined("there is no next item"),
        "cycle" => new Callable("method", "cycle", (_, given) => given.Positional.Length > 0
            ? given.Positional[Index0 % given.Positional.Length] : throw PythonError.Type("no items for cycling given")),
        "changed" => new Callable("method", "changed", (run, given) => PyNumber.Flag(Changed(given.Positional, run.Meter))),
        _ => null,
    };

    public object Recurse(object inner) => recurse is null
        ? throw PythonError.Type("The loop must have the 'recursive' marker to be called recursively.")
        : recurse(inner, depth0 + 1);

    private object? Peek()
    {
        if (_after is null && _items.MoveNext()) _after = _items.Current;
        return _after;
    }

    private bool Changed(object[] values, Meter meter)
    {
        if (_lastChanged != null && PyCompare.Equal(new PyTuple(_lastChanged), new PyTuple(values), meter)) return false;
        _lastChanged = values;
        return true;
    }
}
