using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Puts a text in front of pieces.</summary>
internal static class PiecePrefix
{
    /// <summary>Puts the prefix in front of every piece that asks for it; it is aligned to the first letter of the piece.</summary>
    public static PieceText Add(PieceText input, string prefix, Func<AlignedText, Piece, bool> wanted)
    {
        if (!input.Pieces.Exists(piece => piece.TokenId < 0 && wanted(input.Text, piece)))
            return input;
        var builder = new AlignedTextBuilder(input.Text.Length + 16);
        var pieces = new List<Piece>(input.Pieces.Count);
        foreach (var piece in input.Pieces)
        {
            var begin = builder.Length;
            if (piece.TokenId < 0 && wanted(input.Text, piece))
            {
                var codePoint = Transformation.CodePointAt(input.Text.Slice(piece.Begin, piece.End), 0);
                builder.Append(prefix, input.Text.StartOf(piece.Begin), input.Text.EndOf(piece.Begin + (codePoint > 0xFFFF ? 1 : 0)));
            }
            builder.AppendSlice(input.Text, piece.Begin, piece.End);
            pieces.Add(new Piece(begin, builder.Length, piece.TokenId));
        }
        return new PieceText(builder.Build(input.Text.Origin), pieces);
    }
}
