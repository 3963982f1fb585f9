using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>Puts a text in front of every text that is not empty.</summary>
internal sealed class Prepend(string prefix) : INormalizer
{
    public AlignedText Apply(AlignedText text) => Transformation.Prepend(text, prefix);
}
