using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Cuts out symbols that always stay whole, such as SentencePiece's user-defined ones.</summary>
internal sealed class SymbolSplitter(AddedTokenMatcher matcher) : IPreTokenizer
{
    public PieceText Apply(PieceText input)
    {
        var pieces = new List<Piece>();
        foreach (var piece in input.Pieces)
        {
            if (piece.TokenId >= 0)
                pieces.Add(piece);
            else
                matcher.Cut(input.Text.Slice(piece.Begin, piece.End), piece.Begin, pieces);
        }
        return new PieceText(input.Text, pieces);
    }
}
