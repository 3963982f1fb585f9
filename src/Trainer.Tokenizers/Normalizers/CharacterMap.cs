using System.Buffers.Binary;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>
/// The character map of a SentencePiece model: texts and what replaces them. Little endian: the size of a double-array trie over UTF-8 bytes
/// (darts-clone), the trie, and the replacements, each closed by a zero byte.
/// </summary>
internal sealed class CharacterMap
{
    private readonly uint[] _units;
    private readonly byte[] _texts;

    private CharacterMap(uint[] units, byte[] texts) => (_units, _texts) = (units, texts);

    /// <summary>Reads a map, or answers null where the bytes are none.</summary>
    public static CharacterMap? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 4) return null;
        var size = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (size % 4 != 0 || size == 0 || size > bytes.Length - 4) return null;
        var units = new uint[size / 4];
        for (var i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(4 + 4 * i)..]);
        return new CharacterMap(units, bytes[(4 + (int)size)..].ToArray());
    }

    /// <summary>A replacement for the beginning of a text.</summary>
    /// <param name="text">UTF-8.</param>
    /// <param name="longest">The longest beginning that the map holds, as SentencePiece takes it; else the shortest, as the Rust library does.</param>
    /// <param name="length">Bytes of the beginning that is replaced.</param>
    /// <param name="replacement">What replaces it, in UTF-8.</param>
    /// <returns>Whether the map holds a beginning of the text.</returns>
    public bool TryReplace(ReadOnlySpan<byte> text, bool longest, out int length, out ReadOnlySpan<byte> replacement)
    {
        length = 0;
        replacement = default;
        var position = Offset(_units[0]);
        for (var i = 0; i < text.Length && text[i] != 0; i++)
        {
            position ^= text[i];
            if (position >= (uint)_units.Length) break;
            var unit = _units[position];
            // The label of a leaf has its highest bit set, which no byte has.
            if ((unit & 0x800000FF) != text[i]) break;
            position ^= Offset(unit);
            if ((unit >> 8 & 1) == 0) continue;
            if (position >= (uint)_units.Length) break;
            var at = (int)(_units[position] & 0x7FFFFFFF);
            if (at > _texts.Length) break;
            var end = _texts.AsSpan(at).IndexOf((byte)0);
            length = i + 1;
            replacement = _texts.AsSpan(at, end < 0 ? _texts.Length - at : end);
            if (!longest) break;
        }
        return length > 0;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1 << 9) >> 6);
}
