using System.Globalization;
using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Patterns;

/// <summary>Reads a regular expression in Oniguruma's syntax; what it cannot express exactly it refuses by name.</summary>
internal sealed partial class PatternParser
{
    private const int LongestPattern = 20_000;
    private const int DeepestNesting = 100;
    private const int MostRepetitions = 1000;

    private readonly string _pattern;
    private int _position;
    private int _depth;
    private int _behind; // nested look-behinds
    private bool _ignoreCase;
    private bool _dotAll;
    private bool _extended;

    private PatternParser(string pattern) => _pattern = pattern;

    /// <summary>Parses a pattern.</summary>
    /// <exception cref="TokenizerException">The pattern is malformed or uses something not supported.</exception>
    public static PatternNode Parse(string pattern)
    {
        var parser = new PatternParser(pattern);
        if (pattern.Length > LongestPattern)
            throw parser.Fault($"is longer than {LongestPattern} characters");
        var node = parser.ReadChoice();
        return parser._position == pattern.Length ? node : throw parser.Fault("has an unmatched ')'");
    }

    private TokenizerException Fault(string what)
    {
        var shown = _pattern.Length > 200 ? _pattern[..200] + "..." : _pattern;
        return new TokenizerException($"regular expression '{shown}' {what} (at character {_position}); it cannot be followed exactly, so it is refused");
    }

    private bool More => _position < _pattern.Length;

    private bool Take(string text)
    {
        if (string.CompareOrdinal(_pattern, _position, text, 0, text.Length) != 0)
            return false;
        _position += text.Length;
        return true;
    }

    private int NextCodePoint()
    {
        if (!More)
            throw Fault("ends too early");
        var codePoint = Transformation.CodePointAt(_pattern, _position);
        _position += codePoint > 0xFFFF ? 2 : 1;
        return codePoint;
    }

    private PatternNode ReadChoice()
    {
        if (++_depth > DeepestNesting)
            throw Fault("is nested too deeply");
        // An option in the middle of a group holds to the group's end, alternatives included.
        var (ignoreCase, dotAll, extended) = (_ignoreCase, _dotAll, _extended);
        var choices = new List<PatternNode> { ReadSequence() };
        while (Take("|"))
            choices.Add(ReadSequence());
        (_ignoreCase, _dotAll, _extended) = (ignoreCase, dotAll, extended);
        _depth--;
        return choices.Count == 1 ? choices[0] : new PatternNode.Choice(choices);
    }

    private PatternNode ReadSequence()
    {
        var items = new List<PatternNode>();
        var folded = new System.Text.StringBuilder();
        while (More && _pattern[_position] is not ('|' or ')'))
        {
            if (SkipBlank())
                continue;
            if (_pattern[_position] == '(' && TakeOption(out var rest))
            {
                if (rest is not null)
                    items.Add(rest);
                continue;
            }
            var literal = LiteralHere();
            var item = ReadRepeat(ReadItem());
            if (_ignoreCase && literal is not null && item is PatternNode.Letter)
                folded.Append(literal.ToLowerInvariant());
            else
                folded.Append('\0');
            items.Add(item);
        }
        RefuseMultipleFolds(folded.ToString());
        return items.Count == 1 ? items[0] : new PatternNode.Sequence(items);
    }

    // Ignoring case, Oniguruma lets 'ss' match 'ß' and the like; a set of letters cannot say that.
    private void RefuseMultipleFolds(string folded)
    {
        if (folded.AsSpan().Trim('\0').Length < 2)
            return;
        foreach (var sequence in UnicodeTables.FoldSequences())
        {
            if (folded.Contains(sequence, StringComparison.Ordinal))
                throw Fault($"ignores case over '{sequence}', which is also one letter");
        }
    }

    private string? LiteralHere()
    {
        var c = _pattern[_position];
        if (c is '\\' or '[' or '(' or '.' or '^' or '$')
            return null;
        return char.ConvertFromUtf32(Transformation.CodePointAt(_pattern, _position) is var codePoint and not (>= 0xD800 and < 0xE000)
            ? codePoint : throw Fault("holds half a letter"));
    }

    private bool SkipBlank()
    {
        if (Take("(?#"))
        {
            var close = _pattern.IndexOf(')', _position);
            _position = close < 0 ? throw Fault("has an open comment") : close + 1;
            return true;
        }
        if (!_extended)
            return false;
        if (char.IsWhiteSpace(_pattern[_position]))
        {
            _position++;
            return true;
        }
        if (_pattern[_position] != '#')
            return false;
        while (More && _pattern[_position] != '\n')
            _position++;
        return true;
    }

    /// <summary><c>(?i)</c> and the like, which hold to the end of the enclosing group.</summary>
    private bool TakeOption(out PatternNode? rest)
    {
        rest = null;
        var start = _position;
        if (!Take("(?") || !More || !(char.IsAsciiLetterLower(_pattern[_position]) || _pattern[_position] == '-'))
        {
            _position = start;
            return false;
        }
        var close = _position;
        while (close < _pattern.Length && (char.IsAsciiLetter(_pattern[close]) || _pattern[close] == '-'))
            close++;
        if (close >= _pattern.Length || _pattern[close] != ')')
        {
            _position = start;
            return false;
        }
        SetOptions(_pattern[_position..close]);
        _position = close + 1;
        // Oniguruma takes everything behind the option, '|' included, as one group.
        rest = ReadChoice();
        return true;
    }

    private void SetOptions(string letters)
    {
        var on = true;
        foreach (var c in letters)
        {
            switch (c)
            {
                case '-': on = false; break;
                case 'i': _ignoreCase = on; break;
                case 'm': _dotAll = on; break;
                case 'x': _extended = on; break;
                default: throw Fault($"uses the option '{c}'");
            }
        }
    }

    private PatternNode ReadItem()
    {
        var codePoint = NextCodePoint();
        switch (codePoint)
        {
            case '(': return ReadGroup();
            case '[': return new PatternNode.Letter(ReadClass());
            case '.': return new PatternNode.Letter(_dotAll ? CodePointSet.All : CodePointSet.Of('\n').Not());
            // Oniguruma's ^ and $ always mean lines; behind a newline that ends the text no line begins.
            case '^':
                return new PatternNode.Choice([new PatternNode.Edge(false),
                    new PatternNode.Sequence([Behind(CodePointSet.Of('\n'), false), Ahead(CodePointSet.All, false)])]);
            case '$': return new PatternNode.Choice([Ahead(CodePointSet.Of('\n'), false), new PatternNode.Edge(true)]);
            case '\\': return ReadEscape();
            case '*' or '+' or '?': throw Fault("repeats nothing");
            case >= 0xD800 and < 0xE000: throw Fault("holds half a letter");
            default: return Literal(codePoint);
        }
    }

    private PatternNode.Letter Literal(int codePoint) => new(_ignoreCase ? CaseFolding.Fold(CodePointSet.Of(codePoint)) : CodePointSet.Of(codePoint));

    private static PatternNode.Look Ahead(CodePointSet set, bool negative) => new(new PatternNode.Letter(set), true, negative);

    private static PatternNode.Look Behind(CodePointSet set, bool negative) => new(new PatternNode.Letter(set), false, negative);

    private PatternNode ReadGroup()
    {
        Func<PatternNode, PatternNode> wrap = inner => inner;
        var behind = 0;
        var (ignoreCase, dotAll, extended) = (_ignoreCase, _dotAll, _extended);
        if (Take("?"))
        {
            if (Take(":"))
                wrap = inner => inner;
            else if (Take("="))
                wrap = inner => new PatternNode.Look(inner, true, false);
            else if (Take("!"))
                wrap = inner => new PatternNode.Look(inner, true, true);
            else if (Take("<="))
                (wrap, behind) = (inner => new PatternNode.Look(inner, false, false), 1);
            else if (Take("<!"))
                (wrap, behind) = (inner => new PatternNode.Look(inner, false, true), 1);
            else if (Take(">"))
                wrap = inner => new PatternNode.Atomic(inner);
            else if (Take("<"))
                SkipName();
            else
                ReadScopedOptions();
        }
        _behind += behind;
        var node = ReadChoice();
        _behind -= behind;
        if (!Take(")"))
            throw Fault("has an unclosed '('");
        (_ignoreCase, _dotAll, _extended) = (ignoreCase, dotAll, extended);
        return wrap(node);
    }

    private void SkipName()
    {
        var close = _pattern.IndexOf('>', _position);
        if (close < 0 || !_pattern[_position..close].All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            throw Fault("has a group of unknown kind");
        _position = close + 1;
    }

    private void ReadScopedOptions()
    {
        var colon = _pattern.IndexOf(':', _position);
        if (colon < 0 || !_pattern[_position..colon].All(c => char.IsAsciiLetter(c) || c == '-'))
            throw Fault("has a group of unknown kind");
        SetOptions(_pattern[_position..colon]);
        _position = colon + 1;
    }

    private PatternNode ReadRepeat(PatternNode item)
    {
        while (true)
        {
            while (More && _extended && SkipBlank()) { }
            if (!More)
                return item;
            var (least, most, interval) = (0, -1, false);
            if (Take("*"))
                (least, most) = (0, -1);
            else if (Take("+"))
                (least, most) = (1, -1);
            else if (Take("?"))
                (least, most) = (0, 1);
            else if (TakeInterval(out least, out most))
                interval = true;
            else
                return item;
            if (item is PatternNode.Look or PatternNode.Edge)
                throw Fault("repeats an anchor");
            var mode = Take("?") ? RepeatMode.Lazy : !interval && Take("+") ? RepeatMode.Possessive : RepeatMode.Greedy;
            // {n}? means 'n times or not at all' here, unlike elsewhere.
            if (interval && mode == RepeatMode.Lazy && least == most)
                throw Fault("uses {n}?");
            item = new PatternNode.Repeat(item, least, most, mode);
        }
    }

    private bool TakeInterval(out int least, out int most)
    {
        (least, most) = (0, -1);
        var start = _position;
        if (!Take("{"))
            return false;
        var close = _pattern.IndexOf('}', _position);
        var parts = close < 0 ? [] : _pattern[_position..close].Split(',');
        var first = parts.Length > 0 ? parts[0] : "";
        var second = parts.Length > 1 ? parts[1] : first;
        bool Digits(string text) => text.All(char.IsAsciiDigit) && text.Length < 7;
        if (parts.Length is not (1 or 2) || !Digits(first) || !Digits(second) || (first.Length == 0 && second.Length == 0))
        {
            _position = start;
            // A brace that begins no interval stands for itself.
            return false;
        }
        least = first.Length == 0 ? 0 : int.Parse(first, CultureInfo.InvariantCulture);
        most = second.Length == 0 ? -1 : int.Parse(second, CultureInfo.InvariantCulture);
        if (least > MostRepetitions || most > MostRepetitions || (most >= 0 && most < least))
            throw Fault("repeats too often or backwards");
        _position = close + 1;
        return true;
    }
}
