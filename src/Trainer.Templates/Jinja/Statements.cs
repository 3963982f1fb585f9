using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>How a statement ended.</summary>
internal enum Flow
{
    On,
    Continue,
    Break,
}

/// <summary>A node of the statement tree; it executes itself.</summary>
internal abstract class Statement(int line)
{
    public int Line { get; } = line;

    public abstract Flow Execute(Run run, Activation at);

    public static Flow ExecuteAll(Statement[] body, Run run, Activation at)
    {
        foreach (var statement in body)
        {
            try
            {
                var flow = statement.Execute(run, at);
                if (flow != Flow.On) return flow;
            }
            catch (PythonError error) when (error.Line == 0)
            {
                error.Line = statement.Line;
                throw;
            }
        }
        return Flow.On;
    }
}

/// <summary>Template text and printed expressions.</summary>
internal sealed class Output(Expression[] items, int line) : Statement(line)
{
    public Expression[] Items { get; } = items;

    public override Flow Execute(Run run, Activation at)
    {
        var index = 0;
        try
        {
            for (; index < Items.Length; index++)
            {
                run.Meter.Step();
                if (Items[index] is TemplateText data) run.Write(data.Text);
                else run.Print(Items[index].Evaluate(run, at));
            }
        }
        catch (PythonError error) when (error.Line == 0)
        {
            error.Line = Items[index].Line; // text and expressions of several lines are one statement
            throw;
        }
        return Flow.On;
    }
}

internal sealed class If(KeyValuePair<Expression, Statement[]>[] branches, Statement[] otherwise, int line) : Statement(line)
{
    public KeyValuePair<Expression, Statement[]>[] Branches { get; } = branches;

    public Statement[] Otherwise { get; } = otherwise;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        foreach (var (test, body) in Branches)
            if (PyCompare.Truth(test.Evaluate(run, at))) return ExecuteAll(body, run, at);
        return ExecuteAll(Otherwise, run, at);
    }
}

internal sealed class Assign(Expression target, Expression value, int line) : Statement(line)
{
    public Expression Target { get; } = target;

    public Expression Value { get; } = value;

    /// <summary>Set by the binder at the template's top level, where names are seen by its blocks.</summary>
    public bool Exports { get; set; }

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        Targets.CheckNamespaces(Target, at);
        Targets.Assign(Target, Value.Evaluate(run, at), run, at);
        if (Exports) Targets.Export(Target, run, at);
        return Flow.On;
    }
}

/// <summary><c>{% set name %}...{% endset %}</c>.</summary>
internal sealed class AssignBlock(Expression target, FilterExpression? filter, Statement[] body, int line) : Statement(line)
{
    public Expression Target { get; } = target;

    public FilterExpression? Filter { get; } = filter;

    public Statement[] Body { get; } = body;

    public Entry Entry { get; set; } = Entry.Empty;

    public bool Exports { get; set; }

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        Entry.Enter(run, at);
        var flow = run.Capture(Body, at, out var text);
        if (flow != Flow.On) return flow;
        var value = run.Marked(text);
        if (Filter != null) value = Filter.Evaluate(run, at, value);
        Targets.Assign(Target, run.Autoescape ? new Markup(PyText.Str(value, run.Meter)) : value, run, at);
        if (Exports) Targets.Export(Target, run, at);
        Entry.Leave(at);
        return Flow.On;
    }
}

internal sealed class FilterBlock(FilterExpression filter, Statement[] body, int line) : Statement(line)
{
    public FilterExpression Filter { get; } = filter;

    public Statement[] Body { get; } = body;

    public Entry Entry { get; set; } = Entry.Empty;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        Entry.Enter(run, at);
        var flow = run.Capture(Body, at, out var text);
        if (flow != Flow.On) return flow;
        // jinja2 joins this result with the rest as it is, without str().
        var result = Filter.Evaluate(run, at, run.Marked(text));
        run.Print(result is string or Markup ? result : throw PythonError.Type($"sequence item 0: expected str instance, {PyText.TypeName(result)} found"));
        Entry.Leave(at);
        return Flow.On;
    }
}

internal sealed class With(Expression[] targets, Expression[] values, Statement[] body, int line) : Statement(line)
{
    public Expression[] Targets { get; } = targets;

    public Expression[] Values { get; } = values;

    public Statement[] Body { get; } = body;

    public Entry Entry { get; set; } = Entry.Empty;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        Entry.Enter(run, at);
        for (var i = 0; i < Targets.Length; i++) Jinja.Targets.Assign(Targets[i], Values[i].Evaluate(run, at), run, at);
        var flow = ExecuteAll(Body, run, at);
        Entry.Leave(at);
        return flow;
    }
}

/// <summary><c>{% autoescape flag %}</c>.</summary>
internal sealed class AutoescapeBlock(Expression flag, Statement[] body, int line) : Statement(line)
{
    public Expression Enabled { get; } = flag;

    public Statement[] Body { get; } = body;

    public Entry Entry { get; set; } = Entry.Empty;

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        Entry.Enter(run, at);
        var before = run.Autoescape;
        run.Autoescape = PyCompare.Truth(Enabled.Evaluate(run, at));
        var flow = ExecuteAll(Body, run, at);
        run.Autoescape = before;
        Entry.Leave(at);
        return flow;
    }
}

internal sealed class Jump(Flow flow, int line) : Statement(line)
{
    public Flow Flow { get; } = flow;

    public override Flow Execute(Run run, Activation at) => Flow;
}

/// <summary>A statement that needs other templates: read, and refused when reached.</summary>
internal sealed class NeedsTemplates(string tag, int line) : Statement(line)
{
    public override Flow Execute(Run run, Activation at) =>
        throw new PythonError("TypeError", $"no loader for this environment specified: '{{% {tag} %}}' needs other templates, and a chat template stands "
        + $"alone");
}

/// <summary>What entering a frame loads into its slots: names resolved from the context or copied from outer frames.</summary>
internal sealed class Entry(KeyValuePair<int, string>[] resolved, KeyValuePair<int, Place>[] copied, int[] emptied)
{
    public static readonly Entry Empty = new([], [], []);

    public void Enter(Run run, Activation at)
    {
        foreach (var (slot, name) in resolved) at.Slots[slot] = run.Resolve(name);
        foreach (var (slot, place) in copied) at.Slots[slot] = place.Of(at);
        foreach (var slot in emptied) at.Slots[slot] = null;
    }

    public void Leave(Activation at)
    {
        foreach (var (slot, _) in resolved) at.Slots[slot] = null;
        foreach (var (slot, _) in copied) at.Slots[slot] = null;
        foreach (var slot in emptied) at.Slots[slot] = null;
    }
}

/// <summary>Assignment to names, tuples and namespace attributes.</summary>
internal static class Targets
{
    public static void Assign(Expression target, object value, Run run, Activation at)
    {
        switch (target)
        {
            case Name name: name.Place.Store(at, value); break;
            case NamespaceTarget attribute:
                if (attribute.Place.Of(at) is not Namespace scope) throw PythonError.Type("object does not support item assignment");
                scope.Attributes.Items[attribute.Attribute] = value;
                break;
            default: Unpack(((TupleExpression)target).Items, value, run, at); break;
        }
    }

    private static void Unpack(Expression[] targets, object value, Run run, Activation at)
    {
        if (!PySequence.TryIterate(value, run.Meter, out var items))
            throw PythonError.Type($"cannot unpack non-iterable {PyText.TypeName(value)} object");
        var values = new List<object>(targets.Length);
        while (values.Count < targets.Length && items.MoveNext()) values.Add(items.Current);
        if (values.Count < targets.Length) throw PythonError.Value($"not enough values to unpack (expected {targets.Length}, got {values.Count})");
        if (items.MoveNext()) throw PythonError.Value($"too many values to unpack (expected {targets.Length})");
        for (var i = 0; i < targets.Length; i++) Assign(targets[i], values[i], run, at);
    }

    public static void CheckNamespaces(Expression target, Activation at)
    {
        if (target is NamespaceTarget attribute && attribute.Place.Of(at) is not Namespace)
            throw new PythonError("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
        if (target is TupleExpression tuple)
            foreach (var item in tuple.Items) CheckNamespaces(item, at);
    }

    public static void Export(Expression target, Run run, Activation at)
    {
        if (target is Name name && name.Place.Of(at) is { } value) run.Exported[name.Text] = value;
        if (target is TupleExpression tuple)
            foreach (var item in tuple.Items) Export(item, run, at);
    }
}
