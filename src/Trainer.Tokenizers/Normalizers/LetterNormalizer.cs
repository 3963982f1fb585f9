using System.Text;
using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Changes letters one by one: lower case, dropped accents, and what the NMT normalizer cleans.</summary>
internal sealed class LetterNormalizer(Func<int, IReadOnlyList<int>> change) : INormalizer
{
    private static readonly Lazy<CodePointSet> CombiningMarks = new(() => UnicodeTables.Named("CombiningMark"));
    private static readonly int[] Nothing = [];
    private static readonly int[] Blank = [' '];

    public static LetterNormalizer Lowercase { get; } = new(codePoint => Lower(codePoint));

    public static LetterNormalizer StripAccents { get; } = new(codePoint => codePoint >= 0x300 && CombiningMarks.Value.Contains(codePoint)
        ? Nothing : [codePoint]);

    public static LetterNormalizer Nmt { get; } = new(codePoint => codePoint switch
    {
        (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F => Nothing,
        9 or 10 or 12 or 13 or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD => Blank,
        _ => [codePoint],
    });

    public AlignedText Apply(AlignedText text)
    {
        var letters = new List<int>(text.Length);
        var changes = new List<int>(text.Length);
        var dropFirst = 0;
        var different = false;
        for (var i = 0; i < text.Length;)
        {
            var codePoint = Transformation.CodePointAt(text.Span, i);
            i += codePoint > 0xFFFF ? 2 : 1;
            var become = change(codePoint);
            different |= become.Count != 1 || become[0] != codePoint;
            if (become.Count == 0 && letters.Count == 0)
                dropFirst++;
            else if (become.Count == 0)
                changes[^1]--;
            for (var k = 0; k < become.Count; k++)
            {
                letters.Add(become[k]);
                changes.Add(k == 0 ? 0 : 1);
            }
        }
        return different ? Transformation.Apply(text, letters, changes, dropFirst) : text;
    }

    private static int[] Lower(int codePoint) => codePoint switch
    {
        0x130 => ['i', 0x307],
        // Capitals of Unicode 17, and some of 16, that the runtime's table leaves as they are.
        0x1C89 or 0xA7CC or 0xA7CE or 0xA7D2 or 0xA7D4 or 0xA7DA => [codePoint + 1],
        0xA7CB => [0x264],
        0xA7DC => [0x19B],
        >= 0x10D50 and <= 0x10D65 => [codePoint + 0x20],
        >= 0x16EA0 and <= 0x16EB8 => [codePoint + 0x1B],
        >= 0xD800 and < 0xE000 => [codePoint],
        _ => [Rune.ToLowerInvariant(new Rune(codePoint)).Value],
    };
}
