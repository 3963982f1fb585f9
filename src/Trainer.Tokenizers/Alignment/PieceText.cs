namespace Trainer.Tokenizers.Alignment;

/// <summary>One text and the pieces it is cut into; what pre-tokenizers take and give.</summary>
internal sealed record PieceText(AlignedText Text, List<Piece> Pieces);
