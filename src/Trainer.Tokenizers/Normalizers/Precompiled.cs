using System.Globalization;
using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>
/// A SentencePiece character map as the Rust library applies it: to each letter with its marks (a grapheme cluster) below six bytes as a whole, else to each
/// code point; the shortest rule that begins there replaces all of it.
/// </summary>
internal sealed class Precompiled(CharacterMap map) : INormalizer
{
    private const int LongestCluster = 5;

    public AlignedText Apply(AlignedText text)
    {
        if (text.Length == 0) return text;
        var letters = new List<int>(text.Length);
        var changes = new List<int>(text.Length);
        var modified = false;
        Span<byte> bytes = stackalloc byte[8];
        var rest = text.Span;
        while (rest.Length > 0)
        {
            var cluster = rest[..StringInfo.GetNextTextElementLength(rest)];
            rest = rest[cluster.Length..];
            if (System.Text.Encoding.UTF8.GetByteCount(cluster) <= LongestCluster && Replace(cluster, bytes, letters, changes))
            {
                modified = true;
                continue;
            }
            for (var i = 0; i < cluster.Length;)
            {
                var codePoint = Transformation.CodePointAt(cluster, i);
                var width = codePoint > 0xFFFF ? 2 : 1;
                if (Replace(cluster.Slice(i, width), bytes, letters, changes)) modified = true;
                else
                {
                    letters.Add(codePoint);
                    changes.Add(0);
                }
                i += width;
            }
        }
        return modified ? Transformation.Apply(text, letters, changes) : text;
    }

    private bool Replace(ReadOnlySpan<char> part, Span<byte> bytes, List<int> letters, List<int> changes)
    {
        var size = System.Text.Encoding.UTF8.GetBytes(part, bytes);
        if (!map.TryReplace(bytes[..size], longest: false, out _, out var replacement)) return false;
        var before = 0;
        for (var i = 0; i < part.Length; i++) before += char.IsLowSurrogate(part[i]) && i > 0 ? 0 : 1;
        var first = changes.Count;
        foreach (var rune in System.Text.Encoding.UTF8.GetString(replacement).EnumerateRunes())
        {
            letters.Add(rune.Value);
            changes.Add(0);
        }
        var more = changes.Count - first - before;
        for (var i = changes.Count - 1; i >= changes.Count - more && more > 0; i--) changes[i] = 1;
        // What is dropped counts with the letter before it; at the very beginning there is none.
        if (more < 0 && changes.Count > 0) changes[^1] += more;
        return true;
    }
}
