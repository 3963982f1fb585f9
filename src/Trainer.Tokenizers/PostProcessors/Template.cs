namespace Trainer.Tokenizers.PostProcessors;

/// <summary>Puts special tokens around the text: BOS in front, EOS behind, or whatever the template says.</summary>
/// <param name="parts">Ids to add, or null for the text itself, in order.</param>
internal sealed class Template(IReadOnlyList<int[]?> parts) : IPostProcessor
{
    public List<EncodedToken> Apply(List<EncodedToken> tokens, string input, bool addSpecialTokens)
    {
        var result = new List<EncodedToken>(tokens.Count + parts.Count);
        foreach (var part in parts)
        {
            if (part is null)
                result.AddRange(tokens);
            else if (addSpecialTokens)
                result.AddRange(part.Select(id => new EncodedToken(id, 0, 0)));
        }
        return result;
    }
}
