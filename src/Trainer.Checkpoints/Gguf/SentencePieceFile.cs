using System.Buffers.Binary;
using System.Text;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Checkpoints.Gguf;

/// <summary>The pieces of a tokenizer.model file (SentencePiece's protobuf): field 1 of the file, each with piece 1, score 2, type 3.</summary>
internal static class SentencePieceFile
{
    internal static List<(string Piece, float Score, int Type)> Read(string path)
    {
        var file = SmallFile.Bytes(path);
        var pieces = new List<(string, float, int)>();
        for (var at = 0; at < file.Length;)
        {
            (var field, var wire) = Key(file, ref at, path);
            var value = Value(file, ref at, wire, path);
            if (field == 1 && wire == 2) pieces.Add(Piece(value.ToArray(), path));
        }
        return pieces;
    }

    private static (string, float, int) Piece(byte[] message, string path)
    {
        (var piece, var score, var type) = ("", 0f, 1);
        for (var at = 0; at < message.Length;)
        {
            (var field, var wire) = Key(message, ref at, path);
            if (field == 3 && wire == 0)
            {
                type = (int)Varint(message, ref at, path);
                continue;
            }
            var value = Value(message, ref at, wire, path);
            if (field == 1 && wire == 2) piece = Encoding.UTF8.GetString(value);
            else if (field == 2 && wire == 5) score = BinaryPrimitives.ReadSingleLittleEndian(value);
        }
        return (piece, score, type);
    }

    private static BadFileException Bad(string path) => new($"'{path}' is no SentencePiece model, or it is damaged; copy or download it again");

    private static (int Field, int Wire) Key(byte[] bytes, ref int at, string path)
    {
        var key = Varint(bytes, ref at, path);
        return ((int)(key >> 3), (int)(key & 7));
    }

    private static ulong Varint(byte[] bytes, ref int at, string path)
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = at < bytes.Length ? bytes[at++] : throw Bad(path);
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw Bad(path);
    }

    private static ReadOnlySpan<byte> Value(byte[] bytes, ref int at, int wire, string path)
    {
        var start = at;
        ulong length = wire switch { 0 => 0, 1 => 8, 5 => 4, 2 => Varint(bytes, ref at, path), _ => throw Bad(path) };
        if (wire == 0)
        {
            Varint(bytes, ref at, path);
            return bytes.AsSpan(start, at - start);
        }
        if (length > (ulong)(bytes.Length - at)) throw Bad(path);
        at += (int)length;
        return bytes.AsSpan(at - (int)length, (int)length);
    }
}
