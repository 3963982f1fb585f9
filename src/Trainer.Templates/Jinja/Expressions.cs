using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>A node of the expression tree; it evaluates itself.</summary>
internal abstract class Expression(int line)
{
    public int Line { get; } = line;

    public virtual IEnumerable<Expression> Parts => [];

    public abstract object Evaluate(Run run, Activation at);
}

internal sealed class Constant(object value, int line) : Expression(line)
{
    public object Value { get; } = value;

    public override object Evaluate(Run run, Activation at) => Value;
}

/// <summary>Text outside of tags; autoescape leaves it alone.</summary>
internal sealed class TemplateText(string text, int line) : Expression(line)
{
    public string Text { get; } = text;

    public override object Evaluate(Run run, Activation at) => Text;
}

internal enum NameUse
{
    Load,
    Store,
    Parameter,
}

/// <summary>A variable; the binder says how many functions out and in which slot it lies.</summary>
internal sealed class Name(string text, int line) : Expression(line)
{
    public string Text { get; } = text;

    public NameUse Use { get; set; }

    public Place Place { get; set; }

    public override object Evaluate(Run run, Activation at) => Place.Of(at) ?? Undefined.Named(Text);
}

/// <summary><c>ns.attribute</c> as the target of a set.</summary>
internal sealed class NamespaceTarget(string text, string attribute, int line) : Expression(line)
{
    public string Text { get; } = text;

    public string Attribute { get; } = attribute;

    public Place Place { get; set; }

    public override object Evaluate(Run run, Activation at) => throw new InvalidOperationException("a target has no value");
}

internal sealed class TupleExpression(Expression[] items, int line) : Expression(line)
{
    public Expression[] Items { get; } = items;

    public override IEnumerable<Expression> Parts => Items;

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        return new PyTuple(Array.ConvertAll(Items, item => item.Evaluate(run, at)));
    }
}

internal sealed class ListExpression(Expression[] items, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => items;

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var values = new List<object>(items.Length);
        foreach (var item in items) values.Add(item.Evaluate(run, at));
        return new PyList(values);
    }
}

internal sealed class DictExpression(KeyValuePair<Expression, Expression>[] items, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => items.SelectMany(pair => new[] { pair.Key, pair.Value });

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var dict = new PyDict(run.Meter);
        foreach (var (key, value) in items)
        {
            var name = key.Evaluate(run, at);
            dict.Items[name] = value.Evaluate(run, at);
        }
        return dict;
    }
}

internal sealed class Unary(string sign, Expression operand, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => [operand];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var value = operand.Evaluate(run, at);
        if (sign == "not") return PyNumber.Flag(!PyCompare.Truth(value));
        if (PyNumber.IsNumber(value)) return sign == "-" ? PyNumber.Negate(value) : value is bool flag ? PyNumber.Of(flag ? 1 : 0) : value;
        if (value is Undefined undefined) throw undefined.Error(run.Meter);
        throw PythonError.Type($"bad operand type for unary {sign}: '{PyText.TypeName(value)}'");
    }
}

internal sealed class Binary(string sign, Expression left, Expression right, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => [left, right];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var first = left.Evaluate(run, at);
        switch (sign)
        {
            case "and": return PyCompare.Truth(first) ? right.Evaluate(run, at) : first;
            case "or": return PyCompare.Truth(first) ? first : right.Evaluate(run, at);
            default: return PyArithmetic.Apply(sign, first, right.Evaluate(run, at), run);
        }
    }
}

/// <summary><c>a &lt; b in c</c>: a chain, stopped at the first false.</summary>
internal sealed class Comparison(Expression first, KeyValuePair<string, Expression>[] rest, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => [first, .. rest.Select(pair => pair.Value)];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var left = first.Evaluate(run, at);
        foreach (var (sign, operand) in rest)
        {
            var right = operand.Evaluate(run, at);
            if (!Holds(sign, left, right, run.Meter)) return PyNumber.False;
            left = right;
        }
        return PyNumber.True;
    }

    private static bool Holds(string sign, object left, object right, Meter meter) => sign switch
    {
        "==" => PyCompare.Equal(left, right, meter),
        "!=" => !PyCompare.Equal(left, right, meter),
        "in" => PyCompare.Contains(right, left, meter),
        "not in" => !PyCompare.Contains(right, left, meter),
        _ => PyCompare.Order(sign, left, right, meter),
    };
}

/// <summary><c>a ~ b ~ c</c>.</summary>
internal sealed class Concatenation(Expression[] items, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => items;

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var values = Array.ConvertAll(items, item => item.Evaluate(run, at));
        if (run.Autoescape && Array.Exists(values, value => value is Markup))
        {
            var escaped = string.Concat(values.Select(value => Markup.Escape(value, run.Meter).Text));
            run.Meter.Spend(escaped.Length);
            return new Markup(escaped);
        }
        var text = new StringBuilder();
        foreach (var value in values)
        {
            var part = PyText.Str(value, run.Meter);
            run.Meter.Spend((long)text.Length + part.Length > 1 << 27 ? long.MaxValue : part.Length);
            text.Append(part);
        }
        return text.ToString();
    }
}

internal sealed class Conditional(Expression test, Expression then, Expression? otherwise, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => otherwise is null ? [test, then] : [test, then, otherwise];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        if (PyCompare.Truth(test.Evaluate(run, at))) return then.Evaluate(run, at);
        return otherwise?.Evaluate(run, at)
            ?? new Undefined($"the inline if-expression on line {Line} evaluated to false and no else section was defined.");
    }
}

internal sealed class Attribute(Expression owner, string name, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => [owner];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        return PyAttributes.Attribute(owner.Evaluate(run, at), name, run.Meter);
    }
}

internal sealed class Item(Expression owner, Expression index, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => [owner, index];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        return PyAttributes.Item(owner.Evaluate(run, at), index.Evaluate(run, at), run.Meter);
    }
}

internal sealed class SliceItem(Expression owner, Expression? start, Expression? stop, Expression? step, int line) : Expression(line)
{
    public override IEnumerable<Expression> Parts => new[] { owner, start, stop, step }.OfType<Expression>();

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var value = owner.Evaluate(run, at);
        return PySequence.Slice(value, Part(start), Part(stop), Part(step), run.Meter);

        object Part(Expression? part) => part?.Evaluate(run, at) ?? None.Value;
    }
}

/// <summary>The arguments of a call, filter or test as written.</summary>
internal sealed record ArgumentList(Expression[] Positional, KeyValuePair<string, Expression>[] Named, Expression? Star, Expression? StarStar)
{
    public static readonly ArgumentList Empty = new([], [], null, null);

    public IEnumerable<Expression> Parts => [.. Positional, .. Named.Select(pair => pair.Value), .. new[] { Star, StarStar }.OfType<Expression>()];

    public Arguments Evaluate(Run run, Activation at)
    {
        if (Positional.Length == 0 && Named.Length == 0 && Star is null && StarStar is null) return Arguments.None;
        var positional = Array.ConvertAll(Positional, item => item.Evaluate(run, at));
        List<KeyValuePair<string, object>>? named = null;
        if (Star != null) positional = [.. positional, .. PySequence.ToList(Star.Evaluate(run, at), run.Meter)];
        foreach (var (key, value) in Named) (named ??= []).Add(new(key, value.Evaluate(run, at)));
        if (StarStar != null)
        {
            if (StarStar.Evaluate(run, at) is not PyDict dict) throw PythonError.Type("argument after ** must be a mapping");
            foreach (var (key, value) in dict.Items)
                (named ??= []).Add(new(PyText.AsText(key) ?? throw PythonError.Type("keywords must be strings"), value));
        }
        if (named is { Count: > 1 } && named.Select(pair => pair.Key).Distinct().Count() != named.Count)
            throw PythonError.Type("got multiple values for keyword argument");
        return new Arguments(positional, named);
    }
}

internal sealed class Call(Expression target, ArgumentList arguments, int line) : Expression(line)
{
    public ArgumentList Written { get; } = arguments;

    public Expression Target { get; } = target;

    public override IEnumerable<Expression> Parts => [Target, .. Written.Parts];

    public override object Evaluate(Run run, Activation at) => Evaluate(run, at, null);

    /// <summary>The call of a call block passes the block's body as <c>caller</c>.</summary>
    public object Evaluate(Run run, Activation at, Macro? caller)
    {
        run.Meter.Step();
        var function = Target.Evaluate(run, at);
        var given = Written.Evaluate(run, at);
        if (caller != null) given = given with { Named = [.. given.Named ?? [], new("caller", caller)] };
        return PyAttributes.Call(function, given, run);
    }
}

/// <summary><c>value | name(arguments)</c>; a null value stands for the captured text of a block.</summary>
internal sealed class FilterExpression(Expression? value, string name, ArgumentList arguments, int line) : Expression(line)
{
    private readonly Filter? _filter = Filters.Find(name);

    public bool IsKnown => _filter != null;

    public string Filter { get; } = name;

    public override IEnumerable<Expression> Parts => value is null ? arguments.Parts : [value, .. arguments.Parts];

    public override object Evaluate(Run run, Activation at) => Evaluate(run, at, null);

    /// <summary>The chain's innermost value is <paramref name="captured"/> where it has none of its own.</summary>
    public object Evaluate(Run run, Activation at, object? captured)
    {
        run.Meter.Step();
        var input = value is FilterExpression inner ? inner.Evaluate(run, at, captured) : value?.Evaluate(run, at) ?? captured!;
        if (_filter is null)
            throw new PythonError("TemplateRuntimeError", $"No filter named '{Filter}' found.");
        var result = _filter(run, input, arguments.Evaluate(run, at));
        if (PyText.AsText(result) is { } text) run.Meter.Spend(text.Length);
        return result;
    }
}

internal sealed class TestExpression(Expression value, string name, ArgumentList arguments, int line) : Expression(line)
{
    private readonly Test? _test = Tests.Find(name);

    public bool IsKnown => _test != null;

    public string Test { get; } = name;

    public override IEnumerable<Expression> Parts => [value, .. arguments.Parts];

    public override object Evaluate(Run run, Activation at)
    {
        run.Meter.Step();
        var input = value.Evaluate(run, at);
        var given = arguments.Evaluate(run, at);
        if (_test is null)
            throw new PythonError("TemplateRuntimeError", $"No test named '{Test}' found.");
        return _test(run, input, given);
    }
}
