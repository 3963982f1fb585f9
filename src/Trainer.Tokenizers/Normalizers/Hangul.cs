namespace Trainer.Tokenizers.Normalizers;

/// <summary>Korean syllables, which compose by arithmetic (The Unicode Standard, section 3.12).</summary>
internal static class Hangul
{
    public const int SyllableBase = 0xAC00;
    public const int LastSyllable = 0xD7A3;

    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TailBase = 0x11A7;
    private const int LeadCount = 19;
    private const int VowelCount = 21;
    private const int TailCount = 28;

    public static int[] Decompose(int syllable)
    {
        var index = syllable - SyllableBase;
        var lead = LeadBase + index / (VowelCount * TailCount);
        var vowel = VowelBase + index % (VowelCount * TailCount) / TailCount;
        var tail = index % TailCount;
        return tail == 0 ? [lead, vowel] : [lead, vowel, TailBase + tail];
    }

    /// <summary>The syllable of two parts, or -1.</summary>
    public static int Compose(int first, int second)
    {
        if (first is >= LeadBase and < LeadBase + LeadCount && second is >= VowelBase and < VowelBase + VowelCount)
            return SyllableBase + ((first - LeadBase) * VowelCount + second - VowelBase) * TailCount;
        if (first is >= SyllableBase and <= LastSyllable && (first - SyllableBase) % TailCount == 0 && second is > TailBase and < TailBase + TailCount)
            return first + second - TailBase;
        return -1;
    }

    public static bool IsSecond(int codePoint) => codePoint is (>= VowelBase and < VowelBase + VowelCount) or (> TailBase and < TailBase + TailCount);
}
