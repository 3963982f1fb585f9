using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

/// <summary>Whether a body mentions one of the special names, as jinja2's find_undeclared looks for them.</summary>
internal sealed class NameSearch
{
    private readonly string _name;
    private bool _found;
    private bool _shadowed;

    private NameSearch(string name) => _name = name;

    /// <summary>Whether the name is read before anything stores it, nested bodies included.</summary>
    public static bool Uses(Statement[] body, string name)
    {
        var search = new NameSearch(name);
        search.Visit(body);
        return search._found;
    }

    /// <summary>Whether a target anywhere inside stores the name.</summary>
    public static bool Stores(Statement statement, string name)
        => Everything(statement).Any(e => e is Name { Use: NameUse.Store } target && target.Text == name);

    public static bool HasBlocks(Statement[] body)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return body.Any(statement => statement is Block || Parts(statement).OfType<Statement[]>().Any(HasBlocks));
    }

    public static bool HasGeneration(Statement[] body) =>
        body.Any(statement => statement is GenerationBlock || Parts(statement).OfType<Statement[]>().Any(HasGeneration));

    private void Visit(Statement[] body)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        foreach (var statement in body)
        {
            if (statement is Block) continue;
            foreach (var part in Parts(statement))
            {
                if (part is Statement[] inner) Visit(inner);
                else Visit((Expression)part);
            }
        }
    }

    private void Visit(Expression expression)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (expression is Name name && name.Text == _name)
        {
            if (name.Use == NameUse.Load) _found |= !_shadowed;
            else _shadowed = true;
        }
        foreach (var part in expression.Parts) Visit(part);
    }

    private static IEnumerable<Expression> Everything(Statement statement)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        foreach (var part in Parts(statement))
        {
            if (part is Statement[] body)
            {
                foreach (var inner in body)
                    foreach (var expression in Everything(inner)) yield return expression;
            }
            else
            {
                foreach (var expression in Everything((Expression)part)) yield return expression;
            }
        }
    }

    private static IEnumerable<Expression> Everything(Expression expression)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        yield return expression;
        foreach (var part in expression.Parts)
            foreach (var inner in Everything(part)) yield return inner;
    }

    /// <summary>The expressions and bodies of a statement in jinja2's field order.</summary>
    private static object[] Parts(Statement statement) => statement switch
    {
        Output output => output.Items,
        If choice => [.. choice.Branches.SelectMany(branch => new object[] { branch.Key, branch.Value }), choice.Otherwise],
        For { Test: null } loop => [loop.Target, loop.Iterable, loop.Body, loop.Otherwise],
        For loop => [loop.Target, loop.Iterable, loop.Body, loop.Otherwise, loop.Test],
        Assign assign => [assign.Target, assign.Value],
        AssignBlock { Filter: null } block => [block.Target, block.Body],
        AssignBlock block => [block.Target, block.Filter, block.Body],
        FilterBlock block => [block.Body, block.Filter],
        With with => [.. with.Targets, .. with.Values, with.Body],
        AutoescapeBlock block => [block.Enabled, block.Body],
        MacroStatement macro => [.. macro.Body.Parameters, .. macro.Body.Defaults, macro.Body.Body],
        CallBlock block => [block.Call, .. block.Body.Parameters, .. block.Body.Defaults, block.Body.Body],
        GenerationBlock block => [block.Body.Body],
        Block block => [block.Body.Body],
        _ => [],
    };
}
