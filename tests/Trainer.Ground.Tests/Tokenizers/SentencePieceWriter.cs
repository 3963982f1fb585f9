using System.Text;

namespace Trainer.Ground.Tests.Tokenizers;

/// <summary>Writes small SentencePiece models for tests.</summary>
internal static class SentencePieceWriter
{
    public static byte[] Write(List<(string Text, float Score, int Type)> pieces, int modelType, bool byteFallback, bool removeExtraSpaces)
    {
        var file = new List<byte>();
        foreach (var (text, score, type) in pieces)
        {
            var piece = new List<byte>();
            Message(piece, 1, Encoding.UTF8.GetBytes(text));
            piece.Add(2 << 3 | 5);
            piece.AddRange(BitConverter.GetBytes(score));
            Number(piece, 3, type);
            Message(file, 1, [.. piece]);
        }
        var trainer = new List<byte>();
        Number(trainer, 3, modelType);
        Number(trainer, 35, byteFallback ? 1 : 0);
        Message(file, 2, [.. trainer]);
        var normalizer = new List<byte>();
        Message(normalizer, 1, "identity"u8.ToArray());
        Number(normalizer, 4, removeExtraSpaces ? 1 : 0);
        Message(file, 3, [.. normalizer]);
        return [.. file];
    }

    private static void Number(List<byte> to, int field, int value)
    {
        Varint(to, field << 3);
        Varint(to, value);
    }

    private static void Message(List<byte> to, int field, byte[] bytes)
    {
        Varint(to, field << 3 | 2);
        Varint(to, bytes.Length);
        to.AddRange(bytes);
    }

    private static void Varint(List<byte> to, int value)
    {
        for (; value > 127; value >>= 7)
            to.Add((byte)(value & 127 | 128));
        to.Add((byte)value);
    }
}
