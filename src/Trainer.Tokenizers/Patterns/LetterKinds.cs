using System.Globalization;
using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Patterns;

/// <summary>The four kinds of letters that the patterns of the GPT-2 line tell apart.</summary>
internal static class LetterKinds
{
    public const byte Other = 0;
    public const byte Letter = 1;
    public const byte Number = 2;
    public const byte Space = 3;
    public const byte LineBreak = 4;

    private static readonly Lazy<byte[]> Table = new(() =>
    {
        var kinds = new byte[0x10000];
        for (var c = 0; c < kinds.Length; c++)
            kinds[c] = KindOf(c);
        return kinds;
    });

    /// <summary>Kinds of all UTF-16 units (surrogates: see <see cref="At"/>).</summary>
    public static byte[] Basic => Table.Value;

    /// <summary>Kind and width of the letter at a position.</summary>
    public static (byte Kind, int Width) At(byte[] basic, ReadOnlySpan<char> text, int index)
    {
        var c = text[index];
        if (!char.IsSurrogate(c))
            return (basic[c], 1);
        var codePoint = Transformation.CodePointAt(text, index);
        return codePoint > 0xFFFF ? (KindOf(codePoint), 2) : (Other, 1);
    }

    private static byte KindOf(int codePoint)
    {
        if (codePoint is '\r' or '\n')
            return LineBreak;
        if (CharacterSets.IsWhiteSpace(codePoint))
            return Space;
        return CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
        {
            <= UnicodeCategory.OtherLetter => Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Number,
            _ => Other,
        };
    }
}
