using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

/// <summary>Finds the names of one frame in jinja2's order; it stops at statements that have frames of their own.</summary>
internal sealed class SymbolFinder(Symbols symbols)
{
    private Symbols _symbols = symbols;

    public void Visit(Statement[] body)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        foreach (var statement in body) Visit(statement);
    }

    public void Visit(Expression expression, bool asParameter = false)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (expression)
        {
            case Name name when asParameter || name.Use == NameUse.Parameter: _symbols.Parameter(name.Text); break;
            case Name { Use: NameUse.Store } name: _symbols.Store(name.Text); break;
            case Name name: _symbols.Read(name.Text); break;
            case NamespaceTarget target: _symbols.Read(target.Text); break;
        }
        foreach (var part in expression.Parts) Visit(part, asParameter);
    }

    private void Visit(Statement statement)
    {
        switch (statement)
        {
            case Output output:
                foreach (var item in output.Items) Visit(item);
                break;
            case If choice: VisitIf(choice); break;
            case For loop: Visit(loop.Iterable); break;
            case Assign assign:
                Visit(assign.Value);
                Visit(assign.Target);
                break;
            case AssignBlock block: Visit(block.Target); break;
            case FilterBlock block: Visit(block.Filter); break;
            case With with:
                foreach (var value in with.Values) Visit(value);
                break;
            case MacroStatement macro: _symbols.Store(macro.Text); break;
            case CallBlock block: Visit(block.Call); break;
        }
    }

    private void VisitIf(If choice)
    {
        // jinja2 keeps the elifs of an if in one branch, each an if of its own there.
        Visit(choice.Branches[0].Key);
        var body = Branch(() => Visit(choice.Branches[0].Value));
        var elifs = Branch(() =>
        {
            foreach (var branch in choice.Branches.Skip(1)) VisitIf(new If([branch], [], choice.Line));
        });
        var otherwise = Branch(() => Visit(choice.Otherwise));
        _symbols.Merge(body, elifs, otherwise);
    }

    private Symbols Branch(Action visit)
    {
        var whole = _symbols;
        var branch = _symbols = whole.Copy();
        visit();
        _symbols = whole;
        return branch;
    }
}
