using System.Runtime.CompilerServices;

namespace Trainer.Templates.Jinja;

/// <summary>Tokens to statements, rule for rule as jinja2's parser with the loopcontrols and generation extensions.</summary>
internal sealed partial class Parser
{
    private const int DeepestNesting = 100;

    private readonly List<Token> _tokens;
    private readonly Stack<string[]> _ends = new();
    private readonly Stack<string> _tags = new();
    private readonly HashSet<string> _blocks = [];
    private int _at;

    private Parser(List<Token> tokens) => _tokens = tokens;

    public static Statement[] Parse(string source)
    {
        var parser = new Parser(Lexer.Read(source));
        return parser.ParseBody(null);
    }

    private Token Current => _tokens[_at];

    private Token Look => _tokens[Math.Min(_at + 1, _tokens.Count - 1)];

    private Token Next()
    {
        var token = Current;
        if (_at < _tokens.Count - 1) _at++;
        return token;
    }

    private bool SkipName(string name)
    {
        if (!Current.IsName(name)) return false;
        Next();
        return true;
    }

    private bool SkipSign(string sign)
    {
        if (!Current.Is(sign)) return false;
        Next();
        return true;
    }

    private Token ExpectSign(string sign) => Current.Is(sign) ? Next() : throw Unexpected(sign);

    private Token ExpectName(string? name = null) =>
        Current.Kind == TokenKind.Name && (name is null || Current.Text == name) ? Next() : throw Unexpected(name ?? "name");

    private void Expect(TokenKind kind)
    {
        if (Current.Kind != kind) throw Unexpected(new Token(kind, "", 0).Described);
        Next();
    }

    private PythonError Unexpected(string expected) => Current.Kind == TokenKind.End
        ? Fail($"unexpected end of template, expected '{expected}'.")
        : Fail($"expected token '{expected}', got '{Current.Described}'");

    private PythonError Fail(string message, int? line = null) => PythonError.Syntax(message, line ?? Current.Line);

    private Statement[] ParseBody(string[]? ends)
    {
        // CPython itself refuses more than 20 loops inside each other.
        if (_ends.Count > DeepestNesting) throw new PythonError("SyntaxError", "too many statically nested blocks", Current.Line);
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var body = new List<Statement>();
        var output = new List<Expression>();
        if (ends != null) _ends.Push(ends);
        while (Current.Kind != TokenKind.End)
        {
            switch (Current.Kind)
            {
                case TokenKind.Data:
                    output.Add(new TemplateText(Current.Text, Current.Line));
                    Next();
                    break;
                case TokenKind.VariableBegin:
                    Next();
                    output.Add(ParseTuple());
                    Expect(TokenKind.VariableEnd);
                    break;
                default:
                    Flush(body, output);
                    Next();
                    if (ends != null && Current.Kind == TokenKind.Name && Array.IndexOf(ends, Current.Text) >= 0)
                    {
                        _ends.Pop();
                        return [.. body];
                    }
                    body.Add(ParseStatement());
                    Expect(TokenKind.BlockEnd);
                    break;
            }
        }
        Flush(body, output);
        if (ends != null) throw FailAtTag(null, Current.Line);
        return [.. body];
    }

    private static void Flush(List<Statement> body, List<Expression> output)
    {
        if (output.Count == 0) return;
        body.Add(new Output([.. output], output[0].Line));
        output.Clear();
    }

    /// <summary>The statements up to one of these tags; the tag's name is the current token then.</summary>
    private Statement[] ParseStatements(params string[] ends)
    {
        SkipSign(":");
        Expect(TokenKind.BlockEnd);
        return ParseBody(ends);
    }

    private Statement[] ParseTo(string end)
    {
        var body = ParseStatements(end);
        Next();
        return body;
    }

    private PythonError FailAtTag(string? name, int line)
    {
        var message = name is null ? "Unexpected end of template." : $"Encountered unknown tag '{name}'.";
        if (_ends.Count > 0)
        {
            var looking = string.Join(" or ", _ends.Peek().Select(end => $"'{end}'"));
            message += name != null && _ends.Any(ends => ends.Contains(name))
                ? $" You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for {looking}."
                : $" Jinja was looking for the following tags: {looking}.";
        }
        if (_tags.Count > 0) message += $" The innermost block that needs to be closed is '{_tags.Peek()}'.";
        return Fail(message, line);
    }

    private Statement ParseStatement()
    {
        if (Current.Kind != TokenKind.Name) throw Fail("tag name expected");
        var tag = Current;
        _tags.Push(tag.Text);
        var statement = tag.Text switch
        {
            "for" => ParseFor(),
            "if" => ParseIf(),
            "set" => ParseSet(),
            "macro" => ParseMacro(),
            "call" => ParseCallBlock(),
            "generation" => ParseGeneration(),
            "filter" => ParseFilterBlock(),
            "with" => ParseWith(),
            "print" => ParsePrint(),
            "block" => ParseBlock(),
            "autoescape" => ParseAutoescape(),
            "break" => new Jump(Flow.Break, Next().Line),
            "continue" => new Jump(Flow.Continue, Next().Line),
            "extends" or "include" or "import" or "from" => ParseForeign(),
            _ => null,
        };
        _tags.Pop();
        return statement ?? throw FailAtTag(tag.Text, tag.Line);
    }

    private For ParseFor()
    {
        var line = Next().Line;
        var target = ParseTarget(endAtIn: true);
        ExpectName("in");
        var iterable = ParseTuple(conditional: false, endName: "recursive");
        var test = SkipName("if") ? ParseExpression() : null;
        var recursive = SkipName("recursive");
        var body = ParseStatements("endfor", "else");
        var otherwise = Next().Text == "endfor" ? [] : ParseTo("endfor");
        return new For(target, iterable, test, recursive, body, otherwise, line) { TestTarget = test is null ? null : Copy(target) };
    }

    private static Expression Copy(Expression target) => target is Name name
        ? new Name(name.Text, name.Line) { Use = NameUse.Store }
        : new TupleExpression(Array.ConvertAll(((TupleExpression)target).Items, Copy), target.Line);

    private If ParseIf()
    {
        var line = Next().Line;
        var branches = new List<KeyValuePair<Expression, Statement[]>>();
        while (true)
        {
            var test = ParseTuple(conditional: false);
            branches.Add(new(test, ParseStatements("elif", "else", "endif")));
            var end = Next();
            if (end.Text == "elif") continue;
            return new If([.. branches], end.Text == "else" ? ParseTo("endif") : [], line);
        }
    }

    private Statement ParseSet()
    {
        var line = Next().Line;
        var target = ParseTarget(withNamespace: true);
        if (SkipSign("=")) return new Assign(target, ParseTuple(), line);
        var filter = Current.Is("|") ? (FilterExpression)ParseFilter(null) : null;
        return new AssignBlock(target, filter, ParseTo("endset"), line);
    }

    private With ParseWith()
    {
        var line = Next().Line;
        var (targets, values) = (new List<Expression>(), new List<Expression>());
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (targets.Count > 0) ExpectSign(",");
            var target = ParseTarget();
            Mark(target, NameUse.Parameter);
            targets.Add(target);
            ExpectSign("=");
            values.Add(ParseExpression());
            if (Current.Kind == TokenKind.End) throw Unexpected("end of statement block");
        }
        return new With([.. targets], [.. values], ParseTo("endwith"), line);
    }

    private AutoescapeBlock ParseAutoescape()
    {
        var line = Next().Line;
        return new AutoescapeBlock(ParseExpression(), ParseTo("endautoescape"), line);
    }

    private Output ParsePrint()
    {
        var line = Next().Line;
        var items = new List<Expression>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (items.Count > 0) ExpectSign(",");
            items.Add(ParseExpression());
        }
        return new Output([.. items], line);
    }

    private Block ParseBlock()
    {
        var line = Next().Line;
        var name = ExpectName().Text;
        if (Current.IsName("scoped") || Current.IsName("required")) throw Fail($"'{Current.Text}' blocks are not supported");
        if (Current.Is("-")) throw Fail("Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.");
        if (!_blocks.Add(name)) throw Fail($"block '{name}' defined twice", line);
        var body = ParseTo("endblock");
        SkipName(name);
        return new Block(name, new MacroBody(name, [], [], body, line), line);
    }

    private NeedsTemplates ParseForeign()
    {
        var tag = Next();
        while (Current.Kind is not (TokenKind.BlockEnd or TokenKind.End)) Next();
        return new NeedsTemplates(tag.Text, tag.Line);
    }

    private MacroStatement ParseMacro()
    {
        var line = Next().Line;
        var name = ((Name)ParseTarget(nameOnly: true)).Text;
        var (parameters, defaults) = ParseSignature();
        return new MacroStatement(name, new MacroBody(name, parameters, defaults, ParseTo("endmacro"), line), line);
    }

    private CallBlock ParseCallBlock()
    {
        var line = Next().Line;
        var (parameters, defaults) = Current.Is("(") ? ParseSignature() : ([], []);
        if (ParseExpression() is not Call call) throw Fail("expected call", line);
        return new CallBlock(new MacroBody(null, parameters, defaults, ParseTo("endcall"), line), call, line);
    }

    private GenerationBlock ParseGeneration()
    {
        var line = Next().Line;
        return new GenerationBlock(new MacroBody(null, [], [], ParseTo("endgeneration"), line), line);
    }

    private FilterBlock ParseFilterBlock()
    {
        var line = Next().Line;
        var filter = ParseFilter(null, startInline: true);
        return new FilterBlock((FilterExpression)filter, ParseTo("endfilter"), line);
    }

    private (Name[] Parameters, Expression[] Defaults) ParseSignature()
    {
        var (parameters, defaults) = (new List<Name>(), new List<Expression>());
        ExpectSign("(");
        while (!Current.Is(")"))
        {
            if (parameters.Count > 0) ExpectSign(",");
            var parameter = (Name)ParseTarget(nameOnly: true);
            parameter.Use = NameUse.Parameter;
            if (SkipSign("=")) defaults.Add(ParseExpression());
            else if (defaults.Count > 0) throw Fail("non-default argument follows default argument");
            if (parameters.Exists(other => other.Text == parameter.Text))
                throw Fail($"duplicate argument 'l_1_{parameter.Text}' in function definition");
            parameters.Add(parameter);
        }
        ExpectSign(")");
        return ([.. parameters], [.. defaults]);
    }

    private Expression ParseTarget(bool nameOnly = false, bool endAtIn = false, bool withNamespace = false)
    {
        if (nameOnly)
        {
            var token = ExpectName();
            CheckAssignable(token.Text, token.Line);
            return new Name(token.Text, token.Line) { Use = NameUse.Store };
        }
        var target = ParseTuple(simplified: true, endName: endAtIn ? "in" : null, withNamespace: withNamespace);
        Mark(target, NameUse.Store);
        return target;
    }

    private void Mark(Expression target, NameUse use)
    {
        switch (target)
        {
            case Name name:
                CheckAssignable(name.Text, name.Line);
                name.Use = use;
                break;
            case NamespaceTarget: break;
            case TupleExpression tuple:
                foreach (var item in tuple.Items) Mark(item, use);
                break;
            default: throw Fail($"can't assign to '{(target is Constant ? "const" : target is ListExpression ? "list" : "expression")}'", target.Line);
        }
    }

    private void CheckAssignable(string name, int line)
    {
        if (name is "true" or "false" or "none" or "True" or "False" or "None") throw Fail("can't assign to 'name'", line);
    }
}
