using Trainer.Tokenizers.Alignment;

namespace Trainer.Tokenizers.PreTokenizers;

/// <summary>One step after the other.</summary>
internal sealed class PreTokenizerSequence(IReadOnlyList<IPreTokenizer> steps) : IPreTokenizer
{
    public PieceText Apply(PieceText input)
    {
        foreach (var step in steps)
            input = step.Apply(input);
        return input;
    }
}
