using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>Cuts pieces into smaller pieces, and may change their text.</summary>
internal interface IPreTokenizer
{
    /// <summary>Gives the pieces after this step; added tokens pass through. No piece is empty.</summary>
    PieceText Apply(PieceText input);
}
