using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>The variables of one function call of the template: the template itself, a macro, a recursive loop.</summary>
internal sealed class Activation(int slots, Activation? outer)
{
    public object?[] Slots { get; } = new object?[slots];

    public Activation? Outer { get; } = outer;
}

/// <summary>Where a variable lies, seen from the function that uses it.</summary>
/// <param name="Hops">How many functions out.</param>
/// <param name="Slot">Slot of that function.</param>
internal readonly record struct Place(int Hops, int Slot)
{
    public object? Of(Activation at)
    {
        for (var i = 0; i < Hops; i++) at = at.Outer!;
        return at.Slots[Slot];
    }

    public void Store(Activation at, object value)
    {
        for (var i = 0; i < Hops; i++) at = at.Outer!;
        at.Slots[Slot] = value;
    }
}

/// <summary>The state of one render.</summary>
internal sealed class Run(Dictionary<string, object> variables, Meter meter, Func<DateTime> now)
{
    private readonly StringBuilder _root = new();
    private StringBuilder? _captured;

    public Meter Meter { get; } = meter;

    public Func<DateTime> Now { get; } = now;

    public bool Autoescape { get; set; }

    /// <summary>Names set at the top level, for blocks.</summary>
    public Dictionary<string, object> Exported { get; } = [];

    public List<TextSpan> Spans { get; } = [];

    /// <summary>What each span's block rendered.</summary>
    public List<string> SpanTexts { get; } = [];

    public string Text => _root.ToString();

    /// <summary>Chars written to the text itself; captured ones do not count.</summary>
    public int Written => _root.Length;

    public object? Resolve(string name) =>
        Exported.TryGetValue(name, out var value) || variables.TryGetValue(name, out value) ? value : Globals.Find(name);

    public void Write(string text)
    {
        var to = _captured ?? _root;
        Meter.Spend(text.Length);
        if (to.Length + text.Length > 1 << 27) throw PythonError.Limit("the rendered text grew beyond 128 million characters");
        to.Append(text);
    }

    public void Print(object value) => Write(Autoescape ? Markup.Escape(value, Meter).Text : PyText.Str(value, Meter));

    public Flow Capture(Statement[] body, Activation at, out string text)
    {
        var before = _captured;
        _captured = new StringBuilder();
        var flow = Statement.ExecuteAll(body, this, at);
        text = _captured.ToString();
        _captured = before;
        return flow;
    }

    /// <summary>A block's text as a value: safe where autoescape is on.</summary>
    public object Marked(string text) => Autoescape ? new Markup(text) : text;
}
