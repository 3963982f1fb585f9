using System.Globalization;

namespace Trainer.Tokenizers.Patterns;

internal sealed partial class PatternParser
{
    private PatternNode ReadEscape()
    {
        var c = NextCodePoint();
        switch (c)
        {
            case 'w': return new PatternNode.Letter(CharacterSets.BareWord);
            case 'W': return new PatternNode.Letter(CharacterSets.BareWord.Not());
            case 'b': return Boundary(false);
            case 'B': return Boundary(true);
            case 'A': return new PatternNode.Edge(false);
            case 'z': return new PatternNode.Edge(true);
            case 'Z':
                return new PatternNode.Choice([new PatternNode.Look(new PatternNode.Sequence([new PatternNode.Letter(CodePointSet.Of('\n')),
                    new PatternNode.Edge(true)]), true, false), new PatternNode.Edge(true)]);
            case 'N': return new PatternNode.Letter(CodePointSet.Of('\n').Not());
            case 'O': return new PatternNode.Letter(CodePointSet.All);
            case 'R' when _behind > 0:
                throw Fault("looks behind for \\R");
            case 'R':
                return new PatternNode.Atomic(new PatternNode.Choice(
                    [new PatternNode.Sequence([new PatternNode.Letter(CodePointSet.Of('\r')), new PatternNode.Letter(CodePointSet.Of('\n'))]),
                     new PatternNode.Letter(CodePointSet.Union([CodePointSet.Range(10, 13), CodePointSet.Of(0x85), CodePointSet.Range(0x2028, 0x2029)]))]));
            case 'Q':
                var end = _pattern.IndexOf("\\E", _position, StringComparison.Ordinal);
                throw Fault(end < 0 ? "quotes with \\Q" : "quotes with \\Q and \\E");
        }
        // Outside brackets a property is taken as it is, even where case is ignored.
        if (SetOfEscape(c, false) is { } set)
            return new PatternNode.Letter(set);
        return Literal(CharacterOfEscape(c));
    }

    private static PatternNode.Choice Boundary(bool negative)
    {
        var word = CharacterSets.BareWord;
        var one = new PatternNode.Sequence([Behind(word, false), Ahead(word, !negative)]);
        var other = new PatternNode.Sequence([Behind(word, true), Ahead(word, negative)]);
        return new PatternNode.Choice([one, other]);
    }

    /// <summary>Escapes that mean a set, in and out of brackets.</summary>
    private CodePointSet? SetOfEscape(int c, bool inClass)
    {
        switch (c)
        {
            case 'd': return CharacterSets.Category("Nd");
            case 'D': return CharacterSets.Category("Nd").Not();
            case 's': return CharacterSets.WhiteSpace;
            case 'S': return CharacterSets.WhiteSpace.Not();
            case 'h': return CharacterSets.HexDigit;
            case 'H': return CharacterSets.HexDigit.Not();
            case 'p' or 'P' when More && _pattern[_position] == '{': return ReadProperty(c == 'P', inClass);
            default: return null;
        }
    }

    private CodePointSet ReadProperty(bool negative, bool inClass)
    {
        var close = _pattern.IndexOf('}', _position);
        if (close < 0)
            throw Fault("has an open property");
        var name = _pattern[(_position + 1)..close];
        if (name.StartsWith('^'))
            (negative, name) = (!negative, name[1..]);
        var set = !inClass && name.Equals("word", StringComparison.OrdinalIgnoreCase)
            ? CharacterSets.BareWord : UnicodeTables.Property(name) ?? throw Fault($"uses the property '{name}'");
        _position = close + 1;
        return negative ? set.Not() : set;
    }

    private int CharacterOfEscape(int c)
    {
        switch (c)
        {
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return 0x1B;
            case 'x': return ReadHex();
            case 'u': return ReadFourHex();
            case '0': return ReadOctal();
            case >= '1' and <= '9': throw Fault("refers back to a group");
        }
        // \p without a brace, \L and the like are plain letters; those with a meaning not followed here are refused.
        if (c is 'X' or 'K' or 'G' or 'k' or 'g' or 'y' or 'Y' or 'c' or 'C' or 'M' or 'E' or >= 0xD800 and < 0xE000)
            throw Fault($"uses \\{(char)c}");
        return c;
    }

    private int ReadHex()
    {
        var braces = Take("{");
        var start = _position;
        while (More && char.IsAsciiHexDigit(_pattern[_position]) && (braces || _position - start < 2))
            _position++;
        var digits = _pattern[start.._position];
        if (digits.Length is 0 or > 8 || !int.TryParse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var codePoint)
            || codePoint is < 0 or > 0x10FFFF
            || (braces && !Take("}")) || (!braces && codePoint > 127))
            throw Fault("has a bad \\x");
        return codePoint;
    }

    private int ReadFourHex()
    {
        if (_position + 4 > _pattern.Length || !int.TryParse(_pattern.AsSpan(_position, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out var codePoint)
            || codePoint is >= 0xD800 and < 0xE000)
            throw Fault("has a bad \\u");
        _position += 4;
        return codePoint;
    }

    private int ReadOctal()
    {
        var value = 0;
        for (var digits = 0; digits < 2 && More && _pattern[_position] is >= '0' and <= '7'; digits++)
            value = value * 8 + (_pattern[_position++] - '0');
        return value;
    }

    /// <summary>What stands between brackets; the opening one is already read.</summary>
    private CodePointSet ReadClass()
    {
        if (++_depth > DeepestNesting)
            throw Fault("is nested too deeply");
        var negative = Take("^");
        CodePointSet? meet = null;
        var parts = new List<CodePointSet>();
        for (var first = true; ; first = false)
        {
            if (!More)
                throw Fault("has an unclosed '['");
            if (Take("&&"))
            {
                meet = Meet(meet, parts);
                parts.Clear();
            }
            else if (_pattern[_position] == ']' && (!first || !ClosesLater()))
            {
                _position++;
                break;
            }
            else parts.Add(ReadClassItem());
        }
        var set = Meet(meet, parts);
        if (_ignoreCase)
        {
            if (meet is not null)
                throw Fault("ignores case over an intersection");
            if (!negative && set.And(UnicodeTables.Named("MultipleFold")) is { IsEmpty: false })
                throw Fault("ignores case over a class with letters such as 'ß'");
            set = CaseFolding.Fold(set);
        }
        _depth--;
        return negative ? set.Not() : set;
    }

    private static CodePointSet Meet(CodePointSet? meet, List<CodePointSet> parts)
        => meet is null ? CodePointSet.Union(parts) : meet.And(CodePointSet.Union(parts));

    // A ']' right after the '[' is a letter if another one closes the class.
    private bool ClosesLater() => _pattern.IndexOf(']', _position + 1) >= 0;

    private CodePointSet ReadClassItem()
    {
        if (Take("[:"))
        {
            var close = _pattern.IndexOf(":]", _position, StringComparison.Ordinal);
            var name = close < 0 ? "" : _pattern[_position..close];
            var inverse = name.StartsWith('^');
            var set = CharacterSets.Posix(inverse ? name[1..] : name) ?? throw Fault("has a '[:' that is no POSIX class");
            _position = close + 2;
            return inverse ? set.Not() : set;
        }
        if (Take("["))
            return ReadClass();
        if (ReadClassCharacter(out var from) is { } escaped)
            return escaped;
        if (_position + 1 >= _pattern.Length || _pattern[_position] != '-' || _pattern[_position + 1] == ']')
            return CodePointSet.Of(from);
        _position++;
        if (_pattern[_position] == '[' || ReadClassCharacter(out var to) is not null)
            throw Fault("has a range that ends in a class");
        return to >= from ? CodePointSet.Range(from, to) : throw Fault("has a range that runs backwards");
    }

    private CodePointSet? ReadClassCharacter(out int character)
    {
        character = NextCodePoint();
        if (character is >= 0xD800 and < 0xE000)
            throw Fault("holds half a letter");
        if (character != '\\')
            return null;
        character = NextCodePoint();
        if (character == 'w')
            return CharacterSets.Word;
        if (character == 'W')
            return CharacterSets.Word.Not();
        if (SetOfEscape(character, true) is { } set)
            return set;
        if (character is 'R' or 'N' or 'O')
            throw Fault("uses a multiple-letter escape in a class");
        character = character == 'b' ? 8 : CharacterOfEscape(character);
        return null;
    }
}
