using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.Bpe;

namespace Trainer.Tokenizers;

/// <summary>Cuts the pieces of a text into tokens of a vocabulary. Safe to call from several threads.</summary>
internal interface IPieceModel
{
    /// <summary>Encodes every piece that is not yet a token.</summary>
    void Encode(PieceText input, TokenSink sink);
}
