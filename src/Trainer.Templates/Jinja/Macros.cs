namespace Trainer.Templates.Jinja;

/// <summary>What a macro, a call block and a generation block have in common: parameters, defaults and a body with variables of its own.</summary>
internal sealed class MacroBody(string? name, Name[] parameters, Expression[] defaults, Statement[] body, int line)
{
    public string? Name { get; } = name;

    public Name[] Parameters { get; } = parameters;

    public Expression[] Defaults { get; } = defaults;

    public Statement[] Body { get; } = body;

    public int Line { get; } = line;

    public FunctionScope Function { get; set; } = null!;

    public Entry Entry { get; set; } = Entry.Empty;

    public int? CallerSlot { get; set; }

    public int? NamedSlot { get; set; }

    public int? PositionalSlot { get; set; }
}

internal sealed class MacroStatement(string name, MacroBody body, int line) : Statement(line)
{
    public string Text { get; } = name;

    public MacroBody Body { get; } = body;

    public Place Place { get; set; }

    public bool Exports { get; set; }

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        var macro = new Macro(Body, at);
        if (Exports) run.Exported[Text] = macro;
        Place.Store(at, macro);
        return Flow.On;
    }
}

/// <summary><c>{% call macro(...) %}body{% endcall %}</c>.</summary>
internal sealed class CallBlock(MacroBody body, Call call, int line) : Statement(line)
{
    public MacroBody Body { get; } = body;

    public Call Call { get; } = call;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        run.Print(Call.Evaluate(run, at, new Macro(Body, at)));
        return Flow.On;
    }
}

/// <summary><c>{% generation %}</c>: transformers' mark of what the assistant says. It has a scope like a call block's.</summary>
internal sealed class GenerationBlock(MacroBody body, int line) : Statement(line)
{
    public MacroBody Body { get; } = body;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        var start = run.Written;
        var value = new Macro(Body, at).Call(run, Arguments.None);
        var text = PyText.Str(value, run.Meter);
        run.Spans.Add(new TextSpan(start, start + text.Length));
        run.SpanTexts.Add(text);
        run.Print(value);
        return Flow.On;
    }
}

/// <summary><c>{% block %}</c>: in a template that stands alone, its body with the context's variables.</summary>
internal sealed class Block(string name, MacroBody body, int line) : Statement(line)
{
    public string Text { get; } = name;

    public MacroBody Body { get; } = body;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        var inner = new Activation(Body.Function.Slots, null);
        Body.Entry.Enter(run, inner);
        return ExecuteAll(Body.Body, run, inner);
    }
}

/// <summary>A macro with the variables around its definition.</summary>
internal sealed class Macro(MacroBody body, Activation outer)
{
    public string? Name => body.Name;

    public object Call(Run run, Arguments given)
    {
        run.Meter.Step();
        var named = given.Named is null ? [] : new List<KeyValuePair<string, object>>(given.Named);
        var inner = new Activation(body.Function.Slots, outer);
        var foundCaller = false;
        var count = body.Parameters.Length;
        for (var i = 0; i < count; i++)
        {
            var parameter = body.Parameters[i];
            var value = i < given.Positional.Length ? given.Positional[i] : Take(named, parameter.Text);
            if (parameter.Text == "caller") foundCaller = true;
            inner.Slots[parameter.Place.Slot] = value;
        }
        if (body.CallerSlot is { } caller && !foundCaller)
            inner.Slots[caller] = Take(named, "caller") is { } block and not None ? block : new Undefined("No caller defined", null, "caller");
        if (body.NamedSlot is { } keywords)
        {
            var dict = new PyDict(run.Meter);
            foreach (var (key, value) in named) dict.Items[key] = value;
            inner.Slots[keywords] = dict;
        }
        else if (named.Count > 0)
        {
            throw PythonError.Type(named.Exists(pair => pair.Key == "caller")
                ? $"macro {Shown(run)} was invoked with two values for the special caller argument. This is most likely a bug."
                : $"macro {Shown(run)} takes no keyword argument {PyText.Repr(named[0].Key, run.Meter)}");
        }
        if (body.PositionalSlot is { } rest) inner.Slots[rest] = new PyTuple(given.Positional.Length > count ? given.Positional[count..] : []);
        else if (given.Positional.Length > count) throw PythonError.Type($"macro {Shown(run)} takes not more than {count} argument(s)");
        return Invoke(run, inner);
    }

    private object Invoke(Run run, Activation inner)
    {
        body.Entry.Enter(run, inner);
        for (var i = 0; i < body.Parameters.Length; i++)
        {
            var parameter = body.Parameters[i];
            if (inner.Slots[parameter.Place.Slot] != null) continue;
            var fallback = i - body.Parameters.Length + body.Defaults.Length;
            inner.Slots[parameter.Place.Slot] = fallback >= 0 ? body.Defaults[fallback].Evaluate(run, inner)
                : new Undefined($"parameter '{parameter.Text}' was not provided", null, parameter.Text);
        }
        run.Capture(body.Body, inner, out var text);
        return run.Marked(text);
    }

    public object? Attribute(string name) => name switch
    {
        "name" => body.Name is null ? None.Value : body.Name,
        "arguments" => new PyTuple(body.Parameters.Select(parameter => (object)parameter.Text).ToArray()),
        "catch_kwargs" => PyNumber.Flag(body.NamedSlot != null),
        "catch_varargs" => PyNumber.Flag(body.PositionalSlot != null),
        "caller" => PyNumber.Flag(body.CallerSlot != null),
        _ => null,
    };

    private string Shown(Run run) => body.Name is null ? "None" : PyText.Repr(body.Name, run.Meter);

    private static object? Take(List<KeyValuePair<string, object>> named, string name)
    {
        var index = named.FindIndex(pair => pair.Key == name);
        if (index < 0) return null;
        var value = named[index].Value;
        named.RemoveAt(index);
        return value;
    }
}
