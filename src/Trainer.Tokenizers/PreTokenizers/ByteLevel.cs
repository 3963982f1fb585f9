using System.Text;
using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Writes every UTF-8 byte of a piece as one printable letter (GPT-2's table), after an optional space in front and an optional split.</summary>
internal sealed class ByteLevel(bool addPrefixSpace, bool useRegex) : IPreTokenizer
{
    private readonly Splitter? _splitter = useRegex ? new Splitter(KnownPatterns.Matcher(KnownPatterns.Gpt2), SplitBehavior.Isolated) : null;

    public PieceText Apply(PieceText input)
    {
        if (addPrefixSpace)
            input = PiecePrefix.Add(input, " ", (text, piece) => text.Chars[piece.Begin] != ' ');
        if (_splitter is not null)
            input = _splitter.Apply(input);
        return Encode(input);
    }

    /// <summary>Every piece in byte letters, each aligned to the letter it came from.</summary>
    public static PieceText Encode(PieceText input)
    {
        var builder = new AlignedTextBuilder(input.Text.Length + 16);
        var pieces = new List<Piece>(input.Pieces.Count);
        Span<byte> bytes = stackalloc byte[4];
        foreach (var piece in input.Pieces)
        {
            var begin = builder.Length;
            if (piece.TokenId >= 0)
                builder.AppendSlice(input.Text, piece.Begin, piece.End);
            else
                Encode(input.Text, piece.Begin, piece.End, builder, bytes);
            pieces.Add(new Piece(begin, builder.Length, piece.TokenId));
        }
        return new PieceText(builder.Build(input.Text.Origin), pieces);
    }

    private static void Encode(AlignedText text, int from, int to, AlignedTextBuilder builder, Span<byte> bytes)
    {
        for (var i = from; i < to; i++)
        {
            var c = text.Chars[i];
            if (c < 128)
            {
                builder.Append(ByteLetters.Letters[c], text.StartOf(i), text.EndOf(i));
                continue;
            }
            var codePoint = Transformation.CodePointAt(text.Slice(i, to), 0);
            var start = text.StartOf(i);
            if (codePoint > 0xFFFF)
                i++;
            var count = new Rune(codePoint).EncodeToUtf8(bytes);
            for (var k = 0; k < count; k++)
                builder.Append(ByteLetters.Letters[bytes[k]], start, text.EndOf(i));
        }
    }
}
