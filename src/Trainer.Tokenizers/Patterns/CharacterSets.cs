using System.Globalization;

namespace Trainer.Tokenizers.Patterns;

/// <summary>The character classes of regular expressions, and quick tests of single letters.</summary>
internal static class CharacterSets
{
    /// <summary>Circled and squared letters: symbols that are nevertheless alphabetic.</summary>
    private static readonly CodePointSet AlphabeticSymbols = CodePointSet.Union(
        [CodePointSet.Range(0x24B6, 0x24E9), CodePointSet.Range(0x1F130, 0x1F149), CodePointSet.Range(0x1F150, 0x1F169), CodePointSet.Range(0x1F170, 0x1F189)]);

    /// <summary>Numbers of Unicode 17, which the runtime's table does not yet have.</summary>
    private static readonly CodePointSet NewDigits = CodePointSet.Range(0x11DE0, 0x11DE9).Or(CodePointSet.Range(0x16FF4, 0x16FF6));

    private static readonly Lazy<CodePointSet> PunctuationSet = new(() => UnicodeTables.Named("Punctuation"));

    public static CodePointSet WhiteSpace { get; } = CodePointSet.Union(
    [
        CodePointSet.Range(9, 13), CodePointSet.Of(0x20), CodePointSet.Of(0x85), CodePointSet.Of(0xA0), CodePointSet.Of(0x1680),
        CodePointSet.Range(0x2000, 0x200A),
        CodePointSet.Range(0x2028, 0x2029), CodePointSet.Of(0x202F), CodePointSet.Of(0x205F), CodePointSet.Of(0x3000),
    ]);

    public static CodePointSet HexDigit { get; } = CodePointSet.Union([CodePointSet.Range('0', '9'), CodePointSet.Range('a', 'f'),
        CodePointSet.Range('A', 'F')]);

    /// <summary><c>\w</c> inside brackets.</summary>
    public static CodePointSet Word => CodePointSet.Union([Category("L"), Category("M"), Category("Nd"), Category("Nl"), Category("Pc"), AlphabeticSymbols]);

    /// <summary><c>\w</c> outside brackets: Oniguruma then counts the Latin-1 superscripts and fractions too.</summary>
    public static CodePointSet BareWord => Word.Or(CodePointSet.Union([CodePointSet.Range(0xB2, 0xB3), CodePointSet.Of(0xB9), CodePointSet.Range(0xBC, 0xBE)]));

    public static CodePointSet Category(string name) => UnicodeTables.Category(name)!;

    /// <summary>A POSIX bracket name, or null.</summary>
    public static CodePointSet? Posix(string name) => name switch
    {
        "alnum" => UnicodeTables.Named("Alphabetic").Or(Category("Nd")),
        "alpha" => UnicodeTables.Named("Alphabetic"),
        "ascii" => CodePointSet.Range(0, 127),
        "blank" => Category("Zs").Or(CodePointSet.Of(9)),
        "cntrl" => Category("Cc"),
        "digit" => Category("Nd"),
        "graph" => CodePointSet.Union([Category("Z"), Category("Cc"), Category("Cs"), Category("Cn")]).Not(),
        "lower" => UnicodeTables.Named("Lower"),
        "print" => CodePointSet.Union([Category("Zl"), Category("Zp"), Category("Cc"), Category("Cs"), Category("Cn")]).Not(),
        "punct" => Category("P").Or(Category("S")),
        "space" => WhiteSpace,
        "upper" => UnicodeTables.Named("Upper"),
        "word" => Word,
        "xdigit" => HexDigit,
        _ => null,
    };

    public static bool IsWhiteSpace(int codePoint) => codePoint < 0x10000 && char.IsWhiteSpace((char)codePoint);

    /// <summary><c>\w</c> of the regular expressions around added tokens and in the Whitespace pre-tokenizer.</summary>
    public static bool IsWord(int codePoint)
    {
        if (codePoint < 128)
            return char.IsAsciiLetterOrDigit((char)codePoint) || codePoint == '_';
        return CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
        {
            <= UnicodeCategory.LetterNumber => true,
            UnicodeCategory.ConnectorPunctuation => true,
            UnicodeCategory.Format => codePoint is 0x200C or 0x200D,
            UnicodeCategory.OtherSymbol => AlphabeticSymbols.Contains(codePoint),
            _ => false,
        };
    }

    /// <summary>What the Digits pre-tokenizer takes for a digit: every number, not only decimal ones.</summary>
    public static bool IsNumeric(int codePoint)
    {
        if (codePoint < 128)
            return char.IsAsciiDigit((char)codePoint);
        return CharUnicodeInfo.GetUnicodeCategory(codePoint) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber
            or UnicodeCategory.OtherNumber
            || codePoint > 0xFFFF && NewDigits.Contains(codePoint);
    }

    /// <summary>What the Punctuation pre-tokenizer splits at.</summary>
    public static bool IsPunctuation(int codePoint)
    {
        if (codePoint < 128)
            return char.IsAscii((char)codePoint) && codePoint > 32 && codePoint < 127 && !char.IsAsciiLetterOrDigit((char)codePoint);
        return PunctuationSet.Value.Contains(codePoint);
    }
}
