using Trainer.Tokenizers.Alignment;
using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Writes every UTF-8 byte as one printable letter.</summary>
internal sealed class ByteLevelNormalizer : INormalizer
{
    public AlignedText Apply(AlignedText text) =>
        text.Length == 0 ? text : ByteLevel.Encode(new PieceText(text, [new Piece(0, text.Length)])).Text;
}
