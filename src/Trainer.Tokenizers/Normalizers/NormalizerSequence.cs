using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.Normalizers;

/// <summary>One step after the other.</summary>
internal sealed class NormalizerSequence(IReadOnlyList<INormalizer> steps) : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        foreach (var step in steps)
            text = step.Apply(text);
        return text;
    }
}
