namespace Trainer.Templates.Jinja;

/// <summary>A for loop; a recursive one is a function that its own <c>loop(...)</c> calls.</summary>
internal sealed class For(Expression target, Expression iterable, Expression? test, bool recursive, Statement[] body, Statement[] otherwise, int line)
    : Statement(line)
{
    public Expression Target { get; } = target;

    public Expression Iterable { get; } = iterable;

    public Expression? Test { get; } = test;

    /// <summary>The target as the test's own variables: the test runs ahead of the body where the body looks ahead.</summary>
    public Expression? TestTarget { get; set; }

    public bool Recursive { get; } = recursive;

    public Statement[] Body { get; } = body;

    public Statement[] Otherwise { get; } = otherwise;

    public Entry BodyEntry { get; set; } = Entry.Empty;

    public Entry TestEntry { get; set; } = Entry.Empty;

    public Entry OtherwiseEntry { get; set; } = Entry.Empty;

    /// <summary>The slot of <c>loop</c>, or null where the body does not use it.</summary>
    public int? LoopSlot { get; set; }

    /// <summary>The slots of a recursive loop's own function.</summary>
    public FunctionScope? Function { get; set; }

    public override Flow Execute(Run run, Activation at)
    {
        run.Meter.Step();
        var items = Iterable.Evaluate(run, at);
        if (!Recursive) return Loop(run, at, items, 0);
        run.Print(Recurse(run, at, items, 0));
        return Flow.On;
    }

    private object Recurse(Run run, Activation at, object items, int depth)
    {
        run.Meter.Step();
        var inner = new Activation(Function!.Slots, at);
        Statement[] whole = [new Inner(this, inner, items, depth)];
        run.Capture(whole, at, out var text);
        return run.Marked(text);
    }

    private Flow Loop(Run run, Activation at, object items, int depth, Activation? outer = null)
    {
        var source = Test is null ? items : new Generator(Passing(run, at, items));
        var enumerator = PySequence.Iterate(source, run.Meter);
        var loop = LoopSlot is null ? null : new LoopContext(source, enumerator, depth,
            Recursive ? (inner, level) => Recurse(run, outer!, inner, level) : null);
        var completed = false;
        while (loop is null ? enumerator.MoveNext() : loop.MoveNext(run.Meter))
        {
            run.Meter.Step();
            Targets.Assign(Target, loop is null ? enumerator.Current : loop.Current, run, at);
            if (loop != null) at.Slots[LoopSlot!.Value] = loop;
            BodyEntry.Enter(run, at);
            var flow = ExecuteAll(Body, run, at);
            if (flow == Flow.Break) break;
            // As in jinja2's compiled code: an iteration that ends with 'continue' does not count as one that kept 'else' away.
            if (flow == Flow.On) completed = true;
        }
        BodyEntry.Leave(at);
        if (completed || Otherwise.Length == 0) return Flow.On;
        OtherwiseEntry.Enter(run, at);
        var end = ExecuteAll(Otherwise, run, at);
        OtherwiseEntry.Leave(at);
        return end;
    }

    private IEnumerable<object> Passing(Run run, Activation at, object items)
    {
        TestEntry.Enter(run, at);
        var enumerator = PySequence.Iterate(items, run.Meter);
        while (enumerator.MoveNext())
        {
            run.Meter.Step();
            Targets.Assign(TestTarget!, enumerator.Current, run, at);
            if (PyCompare.Truth(Test!.Evaluate(run, at))) yield return enumerator.Current;
        }
    }

    /// <summary>The loop itself as a statement whose output is captured.</summary>
    private sealed class Inner(For loop, Activation inner, object items, int depth) : Statement(loop.Line)
    {
        public override Flow Execute(Run run, Activation at) => loop.Loop(run, inner, items, depth, at);
    }
}
