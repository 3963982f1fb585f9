namespace Trainer.Tokenizers.Alignment;

/// <summary>A range of a text that is either still to be encoded, or already one token.</summary>
/// <param name="Begin">First unit.</param>
/// <param name="End">One past the last unit.</param>
/// <param name="TokenId">Id of the added token found here, or -1.</param>
internal readonly record struct Piece(int Begin, int End, int TokenId = -1);
