using System.Numerics;

namespace Trainer.Templates.Jinja;

internal enum TokenKind
{
    Data,
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>One token. <paramref name="Text"/> is a name, an operator's sign, unescaped string content or template text.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Line, BigInteger Whole = default, double Real = 0)
{
    public bool Is(string sign) => Kind == TokenKind.Operator && Text == sign;

    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    /// <summary>As jinja2 names it in messages.</summary>
    public string Described => Kind switch
    {
        TokenKind.Data => "template data / text",
        TokenKind.VariableBegin => "begin of print statement",
        TokenKind.VariableEnd => "end of print statement",
        TokenKind.BlockBegin => "begin of statement block",
        TokenKind.BlockEnd => "end of statement block",
        TokenKind.End => "end of template",
        TokenKind.Integer => "integer",
        TokenKind.Float => "float",
        TokenKind.String => "string",
        _ => Text,
    };
}
