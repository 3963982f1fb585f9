using System.Globalization;
using System.Text;

namespace Trainer.Templates.Jinja;

/// <summary>str.upper, lower, title and their like with Unicode's full case mapping, which .NET does not have.</summary>
internal static class PyCase
{
    // SpecialCasing.txt: letters whose upper case is several, each followed by it.
    private const string Several =
        "\u00dfSS|\u0149\u02bcN|\u01f0J\u030c|\u0390\u0399\u0308\u0301|\u03b0\u03a5\u0308\u0301|\u0587\u0535\u0552|\u1e96H\u0331|\u1e97T\u0308|\u1e98W\u030a|"
        + "\u1e99Y\u030a|" +
        "\u1e9aA\u02be|\u1f50\u03a5\u0313|\u1f52\u03a5\u0313\u0300|\u1f54\u03a5\u0313\u0301|\u1f56\u03a5\u0313\u0342|\u1f80\u1f08\u0399|\u1f81\u1f09\u0399|"
        + "\u1f82\u1f0a\u0399|\u1f83\u1f0b\u0399|\u1f84\u1f0c\u0399|" +
        "\u1f85\u1f0d\u0399|\u1f86\u1f0e\u0399|\u1f87\u1f0f\u0399|\u1f88\u1f08\u0399|\u1f89\u1f09\u0399|\u1f8a\u1f0a\u0399|\u1f8b\u1f0b\u0399|"
        + "\u1f8c\u1f0c\u0399|\u1f8d\u1f0d\u0399|\u1f8e\u1f0e\u0399|" +
        "\u1f8f\u1f0f\u0399|\u1f90\u1f28\u0399|\u1f91\u1f29\u0399|\u1f92\u1f2a\u0399|\u1f93\u1f2b\u0399|\u1f94\u1f2c\u0399|\u1f95\u1f2d\u0399|"
        + "\u1f96\u1f2e\u0399|\u1f97\u1f2f\u0399|\u1f98\u1f28\u0399|" +
        "\u1f99\u1f29\u0399|\u1f9a\u1f2a\u0399|\u1f9b\u1f2b\u0399|\u1f9c\u1f2c\u0399|\u1f9d\u1f2d\u0399|\u1f9e\u1f2e\u0399|\u1f9f\u1f2f\u0399|"
        + "\u1fa0\u1f68\u0399|\u1fa1\u1f69\u0399|\u1fa2\u1f6a\u0399|" +
        "\u1fa3\u1f6b\u0399|\u1fa4\u1f6c\u0399|\u1fa5\u1f6d\u0399|\u1fa6\u1f6e\u0399|\u1fa7\u1f6f\u0399|\u1fa8\u1f68\u0399|\u1fa9\u1f69\u0399|"
        + "\u1faa\u1f6a\u0399|\u1fab\u1f6b\u0399|\u1fac\u1f6c\u0399|" +
        "\u1fad\u1f6d\u0399|\u1fae\u1f6e\u0399|\u1faf\u1f6f\u0399|\u1fb2\u1fba\u0399|\u1fb3\u0391\u0399|\u1fb4\u0386\u0399|\u1fb6\u0391\u0342|"
        + "\u1fb7\u0391\u0342\u0399|\u1fbc\u0391\u0399|\u1fc2\u1fca\u0399|" +
        "\u1fc3\u0397\u0399|\u1fc4\u0389\u0399|\u1fc6\u0397\u0342|\u1fc7\u0397\u0342\u0399|\u1fcc\u0397\u0399|\u1fd2\u0399\u0308\u0300|"
        + "\u1fd3\u0399\u0308\u0301|\u1fd6\u0399\u0342|\u1fd7\u0399\u0308\u0342|\u1fe2\u03a5\u0308\u0300|" +
        "\u1fe3\u03a5\u0308\u0301|\u1fe4\u03a1\u0313|\u1fe6\u03a5\u0342|\u1fe7\u03a5\u0308\u0342|\u1ff2\u1ffa\u0399|\u1ff3\u03a9\u0399|\u1ff4\u038f\u0399|"
        + "\u1ff6\u03a9\u0342|\u1ff7\u03a9\u0342\u0399|\u1ffc\u03a9\u0399|" +
        "\ufb00FF|\ufb01FI|\ufb02FL|\ufb03FFI|\ufb04FFL|\ufb05ST|\ufb06ST|\ufb13\u0544\u0546|\ufb14\u0544\u0535|\ufb15\u0544\u053b|" +
        "\ufb16\u054e\u0546|\ufb17\u0544\u053d|";

    private static readonly Dictionary<char, string> Upper = Several.Split('|', StringSplitOptions.RemoveEmptyEntries).ToDictionary(e => e[0], e => e[1..]);

    public static string ToUpper(string text)
    {
        if (Ascii.IsValid(text)) return text.ToUpperInvariant();
        var result = new StringBuilder(text.Length + 4);
        foreach (var rune in text.EnumerateRunes()) AppendUpper(result, rune);
        return result.ToString();
    }

    public static string ToLower(string text) => Ascii.IsValid(text) ? text.ToLowerInvariant() : LowerFrom(text, 0);

    public static string Capitalize(string text)
    {
        if (text.Length == 0) return text;
        var first = First(text);
        return Title(text[..first]) + LowerFrom(text, first);
    }

    /// <summary>str.title: upper case after anything that has no case.</summary>
    public static string ToTitle(string text)
    {
        var result = new StringBuilder(text.Length);
        var inWord = false;
        for (var i = 0; i < text.Length;)
        {
            var length = First(text, i);
            var letter = text.Substring(i, length);
            if (inWord) AppendLower(result, text, i);
            else result.Append(Title(letter));
            inWord = IsCased(letter);
            i += length;
        }
        return result.ToString();
    }

    public static string SwapCase(string text)
    {
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length;)
        {
            var length = First(text, i);
            Rune.DecodeFromUtf16(text.AsSpan(i), out var rune, out _);
            if (Rune.IsUpper(rune)) AppendLower(result, text, i);
            else AppendUpper(result, rune);
            i += length;
        }
        return result.ToString();
    }

    public static string CaseFold(string text) => ToLower(text.Replace("\u00df", "ss", StringComparison.Ordinal).Replace('\u03c2', '\u03c3'));

    public static bool IsCased(string letter)
    {
        Rune.DecodeFromUtf16(letter, out var rune, out _);
        return Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            || rune.Value is 0xaa or 0xba || Rune.ToUpperInvariant(rune) != rune || Rune.ToLowerInvariant(rune) != rune;
    }

    private static int First(string text, int at = 0) => char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;

    private static string Title(string letter)
    {
        var c = letter[0];
        if (letter.Length == 1)
        {
            if (c is >= '\u01c4' and <= '\u01cc') return ((char)(0x1c5 + (c - 0x1c4) / 3 * 3)).ToString();
            if (c is >= '\u01f1' and <= '\u01f3') return "\u01f2";
            if (c is >= '\u10d0' and <= '\u10ff') return letter;
            if (c is >= '\u1f80' and <= '\u1faf') return ((char)(c | 8)).ToString();
            if (Upper.TryGetValue(c, out var several) && several.Length == 2 && several[0] < 128) return several[..1] + several[1..].ToLowerInvariant();
        }
        var result = new StringBuilder(2);
        Rune.DecodeFromUtf16(letter, out var rune, out _);
        AppendUpper(result, rune);
        return result.ToString();
    }

    private static void AppendUpper(StringBuilder to, Rune rune)
    {
        if (rune.IsBmp && Upper.TryGetValue((char)rune.Value, out var several)) to.Append(several);
        else to.Append(Rune.ToUpperInvariant(rune).ToString());
    }

    private static string LowerFrom(string text, int start)
    {
        var result = new StringBuilder(text.Length);
        for (var i = start; i < text.Length; i += First(text, i)) AppendLower(result, text, i);
        return result.ToString();
    }

    private static void AppendLower(StringBuilder to, string text, int at)
    {
        Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out _);
        if (rune.Value == 0x130) to.Append("i\u0307");
        else if (rune.Value == 0x3a3) to.Append(IsFinalSigma(text, at) ? '\u03c2' : '\u03c3');
        else to.Append(Rune.ToLowerInvariant(rune).ToString());
    }

    private static bool IsFinalSigma(string text, int at)
    {
        var before = at - 1;
        while (before >= 0 && IsIgnorable(text[before])) before--;
        if (before < 0 || !IsCased(text[before].ToString())) return false;
        var after = at + 1;
        while (after < text.Length && IsIgnorable(text[after])) after++;
        return after == text.Length || !IsCased(text[after].ToString());
    }

    private static bool IsIgnorable(char c) => c is '\'' or '.' or ':' or '\u00b7' or '\u2019'
        || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format
            or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;
}
