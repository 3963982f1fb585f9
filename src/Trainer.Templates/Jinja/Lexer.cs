using System.Globalization;
using System.Numerics;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>
/// Template text to tokens as jinja2's lexer does it with <c>trim_blocks</c> and <c>lstrip_blocks</c>: a newline behind a block or comment
/// is dropped, blanks between a line's start and a block or comment too; <c>-</c> strips all whitespace, <c>+</c> keeps it.
/// </summary>
internal sealed class Lexer
{
    private static readonly string[] Operators = ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=",
        ".", ":", "|", ",", ";"];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _at;
    private int _line = 1;
    private int _countedTo;
    private bool _lineStarting = true;

    private Lexer(string source)
    {
        var text = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        _source = text.EndsWith('\n') ? text[..^1] : text;
    }

    public static List<Token> Read(string source)
    {
        var lexer = new Lexer(source);
        lexer.ReadAll();
        return lexer._tokens;
    }

    private void ReadAll()
    {
        while (_at < _source.Length)
        {
            var open = FindOpening(_at);
            if (open < 0)
            {
                Add(TokenKind.Data, _source[_at..]);
                break;
            }
            if (TryRawBegin(open, out var rawSign, out var rawEnd))
            {
                AddText(_source[_at..open], rawSign, strippable: true);
                MoveTo(rawEnd);
                ReadRaw();
                continue;
            }
            var kind = _source[open + 1];
            var sign = open + 2 < _source.Length && _source[open + 2] is '-' or '+' ? _source[open + 2] : '\0';
            AddText(_source[_at..open], sign, strippable: kind != '{');
            MoveTo(open + (sign == '\0' ? 2 : 3));
            if (kind == '#') ReadComment();
            else ReadTag(kind);
        }
        Add(TokenKind.End, "");
    }

    private int FindOpening(int from)
    {
        for (var i = _source.IndexOf('{', from); i >= 0 && i + 1 < _source.Length; i = _source.IndexOf('{', i + 1))
            if (_source[i + 1] is '{' or '%' or '#') return i;
        return -1;
    }

    private bool TryRawBegin(int open, out char sign, out int end)
    {
        (sign, end) = ('\0', open + 2);
        if (_source[open + 1] != '%') return false;
        if (end < _source.Length && _source[end] is '-' or '+') sign = _source[end++];
        end = SkipSpace(end);
        if (string.CompareOrdinal(_source, end, "raw", 0, 3) != 0) return false;
        end = SkipSpace(end + 3);
        if (string.CompareOrdinal(_source, end, "-%}", 0, 3) == 0)
        {
            end = SkipSpace(end + 3);
            return true;
        }
        if (string.CompareOrdinal(_source, end, "%}", 0, 2) != 0) return false;
        end += 2;
        return true;
    }

    private void ReadRaw()
    {
        for (var open = _source.IndexOf("{%", _at, StringComparison.Ordinal); open >= 0; open = _source.IndexOf("{%", open + 1, StringComparison.Ordinal))
        {
            var at = open + 2;
            var sign = '\0';
            if (at < _source.Length && _source[at] is '-' or '+') sign = _source[at++];
            at = SkipSpace(at);
            if (string.CompareOrdinal(_source, at, "endraw", 0, 6) != 0) continue;
            if (EndOfBlock(SkipSpace(at + 6)) is not { } end) continue;
            AddText(_source[_at..open], sign, strippable: true);
            MoveTo(end);
            return;
        }
        throw Error("Missing end of raw directive");
    }

    private void ReadComment()
    {
        for (var i = _source.IndexOf("#}", _at, StringComparison.Ordinal); i >= 0;)
        {
            var end = i + 2;
            if (i > _at && _source[i - 1] == '-') end = SkipSpace(end);
            else if (!(i > _at && _source[i - 1] == '+') && end < _source.Length && _source[end] == '\n') end++;
            MoveTo(end);
            return;
        }
        throw Error("Missing end of comment tag");
    }

    /// <summary>The position behind <c>%}</c> with its sign and what it strips, or null where there is none here.</summary>
    private int? EndOfBlock(int at)
    {
        if (string.CompareOrdinal(_source, at, "-%}", 0, 3) == 0) return SkipSpace(at + 3);
        if (string.CompareOrdinal(_source, at, "+%}", 0, 3) == 0) return at + 3;
        if (string.CompareOrdinal(_source, at, "%}", 0, 2) != 0) return null;
        return at + 2 < _source.Length && _source[at + 2] == '\n' ? at + 3 : at + 2;
    }

    private int? EndOfVariable(int at)
    {
        if (string.CompareOrdinal(_source, at, "-}}", 0, 3) == 0) return SkipSpace(at + 3);
        return string.CompareOrdinal(_source, at, "}}", 0, 2) == 0 ? at + 2 : null;
    }

    private void ReadTag(char kind)
    {
        Add(kind == '%' ? TokenKind.BlockBegin : TokenKind.VariableBegin, "");
        var open = new Stack<char>();
        while (_at < _source.Length)
        {
            if (open.Count == 0 && (kind == '%' ? EndOfBlock(_at) : EndOfVariable(_at)) is { } end)
            {
                Add(kind == '%' ? TokenKind.BlockEnd : TokenKind.VariableEnd, "");
                MoveTo(end);
                return;
            }
            var c = _source[_at];
            if (PyString.IsSpace(c)) MoveTo(SkipSpace(_at));
            else if (char.IsAsciiDigit(c)) ReadNumber();
            else if (c == '_' || char.IsLetterOrDigit(c) || (c > 127 && IsWordLetter(_at))) ReadName();
            else if (c is '\'' or '"') ReadString(c);
            else ReadOperator(open);
        }
    }

    private void ReadNumber()
    {
        var start = _at;
        if (!(start > 0 && _source[start - 1] == '.') && TryFloat(start) is { } end)
        {
            var text = _source[start..end].Replace("_", "", StringComparison.Ordinal);
            _tokens.Add(new Token(TokenKind.Float, text, Line(), Real: double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture)));
            MoveTo(end);
            return;
        }
        var radix = _source[start] != '0' || start + 1 >= _source.Length
            ? 10 : char.ToLowerInvariant(_source[start + 1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 10 };
        var at = start;
        if (radix != 10 && Digits(start + 2, radix, leadingUnderscore: true) is { } prefixed) at = prefixed;
        else if (_source[start] == '0')
        {
            radix = 10;
            for (at++; at < _source.Length && (_source[at] == '0' || (_source[at] == '_' && at + 1 < _source.Length && _source[at + 1] == '0'));)
                at += _source[at] == '_' ? 2 : 1;
        }
        else at = Digits(start, radix = 10, leadingUnderscore: false)!.Value;
        var value = PyNumber.ParseInt(_source[start..at], radix == 10 ? 10 : 0) ?? throw Error("Exceeds the limit (4300 digits) for integer string conversion");
        _tokens.Add(new Token(TokenKind.Integer, _source[start..at], Line(), Whole: PyNumber.Big(value)));
        MoveTo(at);
    }

    private int? Digits(int at, int radix, bool leadingUnderscore)
    {
        var start = at;
        while (at < _source.Length)
        {
            var digit = at + (_source[at] == '_' && (leadingUnderscore || at > start) ? 1 : 0);
            if (digit >= _source.Length || !IsDigit(_source[digit], radix)) break;
            at = digit + 1;
        }
        return at == start ? null : at;
    }

    private static bool IsDigit(char c, int radix)
        => radix switch { 16 => char.IsAsciiHexDigit(c), 8 => c is >= '0' and <= '7', 2 => c is '0' or '1', _ => char.IsAsciiDigit(c) };

    private int? TryFloat(int start)
    {
        if (Digits(start, 10, false) is not { } at) return null;
        var fraction = at < _source.Length && _source[at] == '.' ? Digits(at + 1, 10, false) : null;
        var mantissa = fraction ?? at;
        if (mantissa < _source.Length && _source[mantissa] is 'e' or 'E')
        {
            var sign = mantissa + 1 < _source.Length && _source[mantissa + 1] is '+' or '-' ? 2 : 1;
            if (Digits(mantissa + sign, 10, false) is { } exponent) return exponent;
        }
        return fraction;
    }

    private bool IsWordLetter(int at)
    {
        var category = CharUnicodeInfo.GetUnicodeCategory(_source, at);
        return category is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter
            or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
            or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation;
    }

    private void ReadName()
    {
        var end = _at;
        while (end < _source.Length && (_source[end] == '_' || char.IsLetterOrDigit(_source[end]) || (_source[end] > 127 && IsWordLetter(end))))
            end += char.IsHighSurrogate(_source[end]) && end + 1 < _source.Length ? 2 : 1;
        Add(TokenKind.Name, _source[_at..end]);
        MoveTo(end);
    }

    private void ReadString(char quote)
    {
        var end = _at + 1;
        while (end < _source.Length && _source[end] != quote) end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length) throw Error($"unexpected char {PyText.Repr(quote.ToString(), new Meter())} at {_at}");
        Add(TokenKind.String, StringEscapes.Decode(_source[(_at + 1)..end], Line()));
        MoveTo(end + 1);
    }

    private void ReadOperator(Stack<char> open)
    {
        var sign = Array.Find(Operators, o => string.CompareOrdinal(_source, _at, o, 0, o.Length) == 0)
            ?? throw Error($"unexpected char {PyText.Repr(PyString.At(_source[_at..], 0)!, new Meter())} at {_at}");
        switch (sign)
        {
            case "{": open.Push('}'); break;
            case "(": open.Push(')'); break;
            case "[": open.Push(']'); break;
            case "}" or ")" or "]":
                if (!open.TryPop(out var expected)) throw Error($"unexpected '{sign}'");
                if (expected != sign[0]) throw Error($"unexpected '{sign}', expected '{expected}'");
                break;
        }
        Add(TokenKind.Operator, sign);
        MoveTo(_at + sign.Length);
    }

    /// <summary>Text before a tag: stripped wholly at <c>-</c>, and of blanks behind the last newline before a block or comment.</summary>
    private void AddText(string text, char sign, bool strippable)
    {
        if (sign == '-') text = PyString.StripEnd(text);
        else if (sign != '+' && strippable)
        {
            var start = text.LastIndexOf('\n') + 1;
            if ((start > 0 || _lineStarting) && start < text.Length && text.AsSpan(start).IndexOfAnyExcept(Blanks) < 0) text = text[..start];
        }
        if (text.Length > 0) Add(TokenKind.Data, text);
    }

    private static readonly System.Buffers.SearchValues<char> Blanks =
        System.Buffers.SearchValues.Create(new string(Enumerable.Range(0, 0x10000).Select(c => (char)c).Where(PyString.IsSpace).ToArray()));

    private int SkipSpace(int at)
    {
        while (at < _source.Length && PyString.IsSpace(_source[at])) at++;
        return at;
    }

    private void MoveTo(int end)
    {
        _lineStarting = end > 0 && _source[end - 1] == '\n';
        _at = end;
    }

    private int Line()
    {
        _line += _source.AsSpan(_countedTo, _at - _countedTo).Count('\n');
        _countedTo = _at;
        return _line;
    }

    private void Add(TokenKind kind, string text) => _tokens.Add(new Token(kind, text, Line()));

    private PythonError Error(string message) => PythonError.Syntax(message, Line());
}
