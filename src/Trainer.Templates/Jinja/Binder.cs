using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

/// <summary>
/// Gives every name its slot. The frames, the order of visits and what each visitor looks into follow jinja2's compiler, because its scoping is
/// static: what a name means depends on where it is stored anywhere in the frame.
/// </summary>
internal sealed class Binder
{
    /// <summary>What the compiler knows at one place.</summary>
    private sealed record Frame(Symbols Symbols, bool TopLevel = false, bool Soft = false, bool InLoop = false)
    {
        public FunctionScope Function => Symbols.Function;

        public Frame Inner(FunctionScope? function = null) =>
            new(new Symbols(Symbols, function ?? Function), InLoop: function is null && InLoop);
    }

    private bool _hasBlocks;

    /// <summary>Binds a template; returns its function and what entering it loads.</summary>
    public static (FunctionScope Function, Entry Entry) Bind(Statement[] body)
    {
        var binder = new Binder { _hasBlocks = NameSearch.HasBlocks(body) };
        var function = new FunctionScope(null);
        var symbols = new Symbols(null, function);
        new SymbolFinder(symbols).Visit(body);
        binder.Bind(body, new Frame(symbols, TopLevel: true));
        return (function, symbols.ToEntry());
    }

    private void Bind(Statement[] body, Frame frame)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        foreach (var statement in body)
        {
            try
            {
                Bind(statement, frame);
            }
            catch (PythonError error) when (error.Line == 0)
            {
                error.Line = statement.Line;
                throw;
            }
        }
    }

    private void Bind(Statement statement, Frame frame)
    {
        switch (statement)
        {
            case Output output:
                foreach (var item in output.Items) Bind(item, frame);
                break;
            case If choice:
                var soft = frame with { Soft = true };
                foreach (var (test, body) in choice.Branches)
                {
                    Bind(test, soft);
                    Bind(body, soft);
                }
                Bind(choice.Otherwise, soft);
                break;
            case For loop: BindFor(loop, frame); break;
            case Assign assign:
                Bind(assign.Target, frame);
                Bind(assign.Value, frame);
                assign.Exports = frame.TopLevel && _hasBlocks;
                break;
            case AssignBlock block: BindAssignBlock(block, frame); break;
            case FilterBlock block:
                var filtered = frame.Inner();
                var finder = new SymbolFinder(filtered.Symbols);
                finder.Visit(block.Filter);
                finder.Visit(block.Body);
                Bind(block.Body, filtered);
                Bind(block.Filter, filtered);
                block.Entry = filtered.Symbols.ToEntry();
                break;
            case With with: BindWith(with, frame); break;
            case AutoescapeBlock block:
                var scope = frame.Inner();
                var scopeFinder = new SymbolFinder(scope.Symbols);
                scopeFinder.Visit(block.Enabled);
                scopeFinder.Visit(block.Body);
                Bind(block.Enabled, scope);
                Bind(block.Body, scope);
                block.Entry = scope.Symbols.ToEntry();
                break;
            case MacroStatement macro:
                BindMacro(macro.Body, frame);
                macro.Place = PlaceOf(macro.Text, frame);
                macro.Exports = frame.TopLevel && _hasBlocks;
                break;
            case CallBlock block:
                BindMacro(block.Body, frame);
                Bind(block.Call, frame);
                break;
            case GenerationBlock block: BindMacro(block.Body, frame); break;
            case Block block:
                var function = new FunctionScope(null);
                var own = new Frame(new Symbols(null, function));
                new SymbolFinder(own.Symbols).Visit(block.Body.Body);
                Bind(block.Body.Body, own);
                block.Body.Function = function;
                block.Body.Entry = own.Symbols.ToEntry();
                break;
            case Jump jump:
                if (!frame.InLoop)
                    throw new PythonError("SyntaxError", jump.Flow == Flow.Break ? "'break' outside loop" : "'continue' not properly in loop", jump.Line);
                break;
        }
    }

    private void BindFor(For loop, Frame frame)
    {
        Bind(loop.Iterable, frame);
        var function = loop.Recursive ? new FunctionScope(frame.Function) : frame.Function;
        var body = new Frame(new Symbols(frame.Symbols, function), InLoop: true);
        var otherwise = new Frame(new Symbols(frame.Symbols, function), InLoop: !loop.Recursive && frame.InLoop);
        if (loop.Recursive || NameSearch.Uses(loop.Body, "loop")) loop.LoopSlot = body.Symbols.Parameter("loop").Index;
        var finder = new SymbolFinder(body.Symbols);
        finder.Visit(loop.Target, asParameter: true);
        finder.Visit(loop.Body);
        if (NameSearch.Stores(loop, "loop"))
            throw new PythonError("TemplateAssertionError", "Can't assign to special loop variable in for-loop target", loop.Line);
        if (loop.Test != null)
        {
            var test = new Frame(new Symbols(frame.Symbols, function));
            var testFinder = new SymbolFinder(test.Symbols);
            testFinder.Visit(loop.TestTarget!, asParameter: true);
            testFinder.Visit(loop.Test);
            Bind(loop.TestTarget!, test);
            Bind(loop.Test, test);
            loop.TestEntry = test.Symbols.ToEntry();
        }
        Bind(loop.Target, body);
        Bind(loop.Body, body);
        loop.BodyEntry = body.Symbols.ToEntry();
        if (loop.Otherwise.Length > 0)
        {
            new SymbolFinder(otherwise.Symbols).Visit(loop.Otherwise);
            Bind(loop.Otherwise, otherwise);
            loop.OtherwiseEntry = otherwise.Symbols.ToEntry();
        }
        if (loop.Recursive) loop.Function = function;
    }

    private void BindAssignBlock(AssignBlock block, Frame frame)
    {
        var inner = frame.Inner();
        new SymbolFinder(inner.Symbols).Visit(block.Body);
        Bind(block.Body, inner);
        if (block.Filter != null) Bind(block.Filter, inner);
        Bind(block.Target, frame);
        block.Entry = inner.Symbols.ToEntry();
        block.Exports = frame.TopLevel && _hasBlocks;
    }

    private void BindWith(With with, Frame frame)
    {
        var inner = frame.Inner();
        var finder = new SymbolFinder(inner.Symbols);
        foreach (var target in with.Targets) finder.Visit(target);
        finder.Visit(with.Body);
        foreach (var target in with.Targets) Bind(target, inner);
        foreach (var value in with.Values) Bind(value, frame);
        Bind(with.Body, inner);
        with.Entry = inner.Symbols.ToEntry();
    }

    private void BindMacro(MacroBody macro, Frame frame)
    {
        macro.Function = new FunctionScope(frame.Function);
        var inner = frame.Inner(macro.Function);
        Visit();
        if (NameSearch.Uses(macro.Body, "caller"))
        {
            var index = Array.FindIndex(macro.Parameters, parameter => parameter.Text == "caller");
            if (index < 0) macro.CallerSlot = inner.Symbols.Parameter("caller").Index;
            else if (index - macro.Parameters.Length + macro.Defaults.Length < 0)
                throw new PythonError("TemplateAssertionError",
                    "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.", macro.Line);
        }
        if (NameSearch.Uses(macro.Body, "kwargs") && !Declares("kwargs")) macro.NamedSlot = inner.Symbols.Parameter("kwargs").Index;
        if (NameSearch.Uses(macro.Body, "varargs") && !Declares("varargs")) macro.PositionalSlot = inner.Symbols.Parameter("varargs").Index;
        Visit();
        foreach (var parameter in macro.Parameters) Bind(parameter, inner);
        foreach (var value in macro.Defaults) Bind(value, inner);
        Bind(macro.Body, inner);
        macro.Entry = inner.Symbols.ToEntry();

        bool Declares(string name) => Array.Exists(macro.Parameters, parameter => parameter.Text == name);

        void Visit()
        {
            var finder = new SymbolFinder(inner.Symbols);
            foreach (var parameter in macro.Parameters) finder.Visit(parameter);
            foreach (var value in macro.Defaults) finder.Visit(value);
            finder.Visit(macro.Body);
        }
    }

    private static void Bind(Expression expression, Frame frame)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (expression)
        {
            case Name name: name.Place = PlaceOf(name.Text, frame); break;
            case NamespaceTarget target: target.Place = PlaceOf(target.Text, frame); break;
            case FilterExpression { IsKnown: false } filter when !frame.Soft:
                throw new PythonError("TemplateAssertionError", $"No filter named '{filter.Filter}'.", filter.Line);
            case TestExpression { IsKnown: false } test when !frame.Soft:
                throw new PythonError("TemplateAssertionError", $"No test named '{test.Test}'.", test.Line);
            case Conditional: frame = frame with { Soft = true }; break;
        }
        foreach (var part in expression.Parts) Bind(part, frame);
    }

    private static Place PlaceOf(string name, Frame frame) =>
        (frame.Symbols.Find(name) ?? throw new PythonError("AssertionError",
        $"Tried to resolve a name to a reference that was unknown to the frame ('{name}')")).From(frame.Function);
}
