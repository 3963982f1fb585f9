namespace Trainer.Tokenizers.Decoders;

/// <summary>BPEDecoder: the end-of-word suffix becomes a space, in the last token nothing.</summary>
internal sealed class SuffixDecoder(string suffix) : IDecoder
{
    public bool IsIncremental => false;

    public List<string> Apply(List<string> tokens)
    {
        var result = new List<string>(tokens.Count);
        for (var i = 0; i < tokens.Count; i++)
            result.Add(suffix.Length == 0 ? tokens[i] : tokens[i].Replace(suffix, i == tokens.Count - 1 ? "" : " ", StringComparison.Ordinal));
        return result;
    }
}
