namespace Trainer.Templates.Jinja;

/// <summary>A function of the template at bind time: how many slots its calls need.</summary>
internal sealed class FunctionScope(FunctionScope? outer)
{
    public FunctionScope? Outer { get; } = outer;

    public int Slots { get; set; }
}

/// <summary>A variable of one function.</summary>
internal sealed class Slot(FunctionScope function, int index)
{
    public FunctionScope Function { get; } = function;

    public int Index { get; } = index;

    public Place From(FunctionScope user)
    {
        var hops = 0;
        for (var scope = user; scope != Function; scope = scope.Outer!) hops++;
        return new Place(hops, Index);
    }
}

/// <summary>
/// The names of one frame, as jinja2's idtracking finds them before any code runs: whether a name of this frame starts as a parameter,
/// resolved from the context, copied from an outer frame, or empty. This decides what a template sees where a name is set in a loop or a branch.
/// </summary>
internal sealed class Symbols(Symbols? parent, FunctionScope function)
{
    private enum Load
    {
        Parameter,
        Resolve,
        Copy,
        Empty,
    }

    private Dictionary<string, Slot> _owned = [];
    private Dictionary<string, Slot> _references = [];
    private Dictionary<Slot, (Load Load, string Name, Slot? From)> _loads = [];
    private HashSet<string> _stores = [];

    public FunctionScope Function => function;

    public Symbols Copy() => new(parent, function)
    {
        _owned = _owned,
        _references = new(_references),
        _loads = new(_loads),
        _stores = [.. _stores],
    };

    public Slot? Find(string name) => _references.TryGetValue(name, out var slot) ? slot : parent?.Find(name);

    public void Store(string name)
    {
        _stores.Add(name);
        if (_references.ContainsKey(name)) return;
        if (parent?.Find(name) is { } outer) Define(name, (Load.Copy, name, outer));
        else Define(name, (Load.Empty, name, null));
    }

    public void Read(string name)
    {
        if (Find(name) is null) Define(name, (Load.Resolve, name, null));
    }

    public Slot Parameter(string name)
    {
        _stores.Add(name);
        return Define(name, (Load.Parameter, name, null));
    }

    public void Merge(params Symbols[] branches)
    {
        var stores = branches.SelectMany(branch => branch._stores).Except(_stores).ToHashSet();
        foreach (var branch in branches)
        {
            foreach (var (name, slot) in branch._references) _references[name] = slot;
            foreach (var (slot, load) in branch._loads) _loads[slot] = load;
            _stores.UnionWith(branch._stores);
        }
        foreach (var name in stores)
        {
            var slot = Find(name)!;
            _loads[slot] = parent?.Find(name) is { } outer ? (Load.Copy, name, outer) : (Load.Resolve, name, null);
        }
    }

    public Entry ToEntry()
    {
        if (_loads.Count == 0) return Entry.Empty;
        return new Entry(
            [.. Of(Load.Resolve).Select(pair => new KeyValuePair<int, string>(pair.Key.Index, pair.Value.Name))],
            [.. Of(Load.Copy).Select(pair => new KeyValuePair<int, Place>(pair.Key.Index, pair.Value.From!.From(function)))],
            [.. Of(Load.Empty).Select(pair => pair.Key.Index)]);

        IEnumerable<KeyValuePair<Slot, (Load Load, string Name, Slot? From)>> Of(Load load) => _loads.Where(pair => pair.Value.Load == load);
    }

    private Slot Define(string name, (Load, string, Slot?) load)
    {
        if (!_owned.TryGetValue(name, out var slot)) _owned[name] = slot = new Slot(function, function.Slots++);
        _references[name] = slot;
        _loads[slot] = load;
        return slot;
    }
}
