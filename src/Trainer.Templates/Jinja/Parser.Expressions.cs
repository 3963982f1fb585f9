using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

internal sealed partial class Parser
{
    private Expression ParseExpression(bool conditional = true)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return conditional ? ParseConditional() : ParseOr();
    }

    private Expression ParseConditional()
    {
        var line = Current.Line;
        var then = ParseOr();
        while (SkipName("if"))
        {
            var test = ParseOr();
            var otherwise = SkipName("else") ? ParseExpression() : null;
            then = new Conditional(test, then, otherwise, line);
            line = Current.Line;
        }
        return then;
    }

    private Expression ParseOr()
    {
        var left = ParseAnd();
        while (Current.IsName("or"))
        {
            var line = Next().Line;
            left = new Binary("or", left, ParseAnd(), line);
        }
        return left;
    }

    private Expression ParseAnd()
    {
        var left = ParseNot();
        while (Current.IsName("and"))
        {
            var line = Next().Line;
            left = new Binary("and", left, ParseNot(), line);
        }
        return left;
    }

    private Expression ParseNot()
    {
        if (!Current.IsName("not")) return ParseComparison();
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var line = Next().Line;
        return new Unary("not", ParseNot(), line);
    }

    private Expression ParseComparison()
    {
        var line = Current.Line;
        var first = ParseSum();
        var rest = new List<KeyValuePair<string, Expression>>();
        while (true)
        {
            if (Current.Kind == TokenKind.Operator && Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=")
            {
                var sign = Next().Text;
                rest.Add(new(sign, ParseSum()));
            }
            else if (SkipName("in")) rest.Add(new("in", ParseSum()));
            else if (Current.IsName("not") && Look.IsName("in"))
            {
                Next();
                Next();
                rest.Add(new("not in", ParseSum()));
            }
            else break;
        }
        return rest.Count == 0 ? first : new Comparison(first, [.. rest], line);
    }

    private Expression ParseSum()
    {
        var left = ParseConcatenation();
        while (Current.Kind == TokenKind.Operator && Current.Text is "+" or "-")
        {
            var sign = Next();
            left = new Binary(sign.Text, left, ParseConcatenation(), sign.Line);
        }
        return left;
    }

    private Expression ParseConcatenation()
    {
        var line = Current.Line;
        var first = ParseProduct();
        if (!Current.Is("~")) return first;
        var items = new List<Expression> { first };
        while (SkipSign("~")) items.Add(ParseProduct());
        return new Concatenation([.. items], line);
    }

    private Expression ParseProduct()
    {
        var left = ParsePower();
        while (Current.Kind == TokenKind.Operator && Current.Text is "*" or "/" or "//" or "%")
        {
            var sign = Next();
            left = new Binary(sign.Text, left, ParsePower(), sign.Line);
        }
        return left;
    }

    private Expression ParsePower()
    {
        var left = ParseUnary();
        while (Current.Is("**"))
        {
            var line = Next().Line;
            left = new Binary("**", left, ParseUnary(), line);
        }
        return left;
    }

    private Expression ParseUnary(bool withFilter = true)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var token = Current;
        Expression node;
        if (token.Is("-") || token.Is("+"))
        {
            Next();
            node = new Unary(token.Text, ParseUnary(false), token.Line);
        }
        else node = ParsePrimary();
        node = ParsePostfix(node);
        return withFilter ? ParseFilters(node) : node;
    }

    private Expression ParsePrimary(bool withNamespace = false)
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                Next();
                if (token.Text is "true" or "True") return new Constant(PyNumber.True, token.Line);
                if (token.Text is "false" or "False") return new Constant(PyNumber.False, token.Line);
                if (token.Text is "none" or "None") return new Constant(None.Value, token.Line);
                if (!withNamespace || !SkipSign(".")) return new Name(token.Text, token.Line);
                return new NamespaceTarget(token.Text, ExpectName().Text, token.Line);
            case TokenKind.String:
                var text = "";
                while (Current.Kind == TokenKind.String) text += Next().Text;
                return new Constant(text, token.Line);
            case TokenKind.Integer:
                Next();
                return new Constant(PyNumber.Normal(token.Whole), token.Line);
            case TokenKind.Float:
                Next();
                return new Constant(token.Real, token.Line);
        }
        if (SkipSign("("))
        {
            var tuple = ParseTuple(parentheses: true);
            ExpectSign(")");
            return tuple;
        }
        if (token.Is("[")) return ParseList();
        if (token.Is("{")) return ParseDict();
        throw Fail($"unexpected '{token.Described}'");
    }

    private Expression ParseTuple(bool simplified = false, bool conditional = true, string? endName = null, bool parentheses = false,
        bool withNamespace = false)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var line = Current.Line;
        var items = new List<Expression>();
        var isTuple = false;
        while (true)
        {
            if (items.Count > 0) ExpectSign(",");
            if (Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || Current.Is(")") || (endName != null && Current.IsName(endName))) break;
            items.Add(simplified ? ParsePrimary(withNamespace) : ParseExpression(conditional));
            if (!Current.Is(",")) break;
            isTuple = true;
            line = Current.Line;
        }
        if (isTuple) return new TupleExpression([.. items], line);
        if (items.Count > 0) return items[0];
        if (!parentheses) throw Fail($"Expected an expression, got '{Current.Described}'");
        return new TupleExpression([], line);
    }

    private ListExpression ParseList()
    {
        var line = ExpectSign("[").Line;
        var items = new List<Expression>();
        while (!Current.Is("]"))
        {
            if (items.Count > 0) ExpectSign(",");
            if (Current.Is("]")) break;
            items.Add(ParseExpression());
        }
        ExpectSign("]");
        return new ListExpression([.. items], line);
    }

    private DictExpression ParseDict()
    {
        var line = ExpectSign("{").Line;
        var items = new List<KeyValuePair<Expression, Expression>>();
        while (!Current.Is("}"))
        {
            if (items.Count > 0) ExpectSign(",");
            if (Current.Is("}")) break;
            var key = ParseExpression();
            ExpectSign(":");
            items.Add(new(key, ParseExpression()));
        }
        ExpectSign("}");
        return new DictExpression([.. items], line);
    }

    private Expression ParsePostfix(Expression node)
    {
        while (true)
        {
            if (Current.Is(".") || Current.Is("[")) node = ParseSubscript(node);
            else if (Current.Is("(")) node = new Call(node, ParseArguments(), Current.Line);
            else return node;
        }
    }

    private Expression ParseFilters(Expression node)
    {
        while (true)
        {
            if (Current.Is("|")) node = ParseFilter(node);
            else if (Current.IsName("is")) node = ParseTest(node);
            else if (Current.Is("(")) node = new Call(node, ParseArguments(), Current.Line);
            else return node;
        }
    }

    private Expression ParseSubscript(Expression owner)
    {
        var token = Next();
        if (token.Text == ".")
        {
            var attribute = Next();
            if (attribute.Kind == TokenKind.Name) return new Attribute(owner, attribute.Text, token.Line);
            if (attribute.Kind != TokenKind.Integer) throw Fail("expected name or number", attribute.Line);
            return new Item(owner, new Constant(PyNumber.Normal(attribute.Whole), attribute.Line), token.Line);
        }
        var indices = new List<Expression>();
        SliceItem? slice = null;
        while (!Current.Is("]"))
        {
            if (indices.Count > 0 || slice != null) ExpectSign(",");
            if (slice != null) throw Fail("invalid syntax");
            var start = Current.Is(":") ? null : ParseExpression();
            if (start != null && !Current.Is(":"))
            {
                indices.Add(start);
                continue;
            }
            if (indices.Count > 0) throw Fail("invalid syntax");
            Next();
            var stop = Current.Is(":") || Current.Is("]") || Current.Is(",") ? null : ParseExpression();
            var step = SkipSign(":") && !Current.Is("]") && !Current.Is(",") ? ParseExpression() : null;
            slice = new SliceItem(owner, start, stop, step, token.Line);
        }
        ExpectSign("]");
        if (slice != null) return slice;
        return new Item(owner, indices.Count == 1 ? indices[0] : new TupleExpression([.. indices], token.Line), token.Line);
    }

    private ArgumentList ParseArguments()
    {
        var line = ExpectSign("(").Line;
        var positional = new List<Expression>();
        var named = new List<KeyValuePair<string, Expression>>();
        Expression? star = null, starStar = null;
        var comma = false;
        while (!Current.Is(")"))
        {
            if (comma)
            {
                ExpectSign(",");
                if (Current.Is(")")) break;
            }
            if (Current.Is("*"))
            {
                Ensure(star is null && starStar is null);
                Next();
                star = ParseExpression();
            }
            else if (Current.Is("**"))
            {
                Ensure(starStar is null);
                Next();
                starStar = ParseExpression();
            }
            else if (Current.Kind == TokenKind.Name && Look.Is("="))
            {
                Ensure(starStar is null);
                var key = Next().Text;
                Next();
                if (named.Exists(pair => pair.Key == key)) throw Fail($"keyword argument repeated: {key}", line);
                named.Add(new(key, ParseExpression()));
            }
            else
            {
                Ensure(star is null && starStar is null && named.Count == 0);
                positional.Add(ParseExpression());
            }
            comma = true;
        }
        ExpectSign(")");
        if (positional.Count == 0 && named.Count == 0 && star is null && starStar is null) return ArgumentList.Empty;
        return new ArgumentList([.. positional], [.. named], star, starStar);

        void Ensure(bool condition)
        {
            if (!condition) throw Fail("invalid syntax for function call expression", line);
        }
    }

    private Expression ParseFilter(Expression? node, bool startInline = false)
    {
        while (startInline || Current.Is("|"))
        {
            if (!startInline) Next();
            startInline = false;
            var (name, line) = ParseDottedName();
            node = new FilterExpression(node, name, Current.Is("(") ? ParseArguments() : ArgumentList.Empty, line);
        }
        return node!;
    }

    private Expression ParseTest(Expression node)
    {
        var line = Next().Line;
        var negated = SkipName("not");
        var (name, _) = ParseDottedName();
        var arguments = ArgumentList.Empty;
        if (Current.Is("(")) arguments = ParseArguments();
        else if ((Current.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Float || Current.Is("[") || Current.Is("{"))
            && !(Current.Kind == TokenKind.Name && Current.Text is "else" or "or" or "and"))
        {
            if (Current.IsName("is")) throw Fail("You cannot chain multiple tests with is");
            arguments = ArgumentList.Empty with { Positional = [ParsePostfix(ParsePrimary())] };
        }
        Expression test = new TestExpression(node, name, arguments, line);
        return negated ? new Unary("not", test, line) : test;
    }

    private (string Name, int Line) ParseDottedName()
    {
        var token = ExpectName();
        var name = token.Text;
        while (SkipSign(".")) name += "." + ExpectName().Text;
        return (name, token.Line);
    }
}
