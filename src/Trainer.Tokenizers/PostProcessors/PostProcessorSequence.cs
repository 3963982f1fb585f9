namespace Trainer.Tokenizers.PostProcessors;

/// <summary>One step after the other.</summary>
internal sealed class PostProcessorSequence(IReadOnlyList<IPostProcessor> steps) : IPostProcessor
{
    public List<EncodedToken> Apply(List<EncodedToken> tokens, string input, bool addSpecialTokens)
    {
        foreach (var step in steps)
            tokens = step.Apply(tokens, input, addSpecialTokens);
        return tokens;
    }
}
