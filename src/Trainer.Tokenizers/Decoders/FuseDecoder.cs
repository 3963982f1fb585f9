namespace Trainer.Tokenizers.Decoders;

/// <summary>Joins all tokens to one text.</summary>
internal sealed class FuseDecoder : IDecoder
{
    public List<string> Apply(List<string> tokens) => [string.Concat(tokens)];
}
