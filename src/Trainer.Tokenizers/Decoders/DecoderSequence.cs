namespace Trainer.Tokenizers.Decoders;

/// <summary>One step after the other.</summary>
internal sealed class DecoderSequence(IReadOnlyList<IDecoder> steps) : IDecoder
{
    // Bytes joined after another step may be undone by a later token.
    public bool IsIncremental { get; } = steps.All(step => step.IsIncremental) && !steps.Skip(1).Any(step => step is ByteLevelDecoder);

    public List<string> Apply(List<string> tokens)
    {
        foreach (var step in steps)
            tokens = step.Apply(tokens);
        return tokens;
    }
}
