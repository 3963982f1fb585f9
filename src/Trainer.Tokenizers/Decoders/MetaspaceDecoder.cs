using Trainer.Tokenizers.PreTokenizers;

namespace Trainer.Tokenizers.Decoders;

/// <summary>Turns marks back to spaces, and drops those of the first token where one was put in front.</summary>
internal sealed class MetaspaceDecoder(string mark, PrependScheme scheme) : IDecoder
{
    public List<string> Apply(List<string> tokens)
    {
        var result = new List<string>(tokens.Count);
        for (var i = 0; i < tokens.Count; i++)
            result.Add(tokens[i].Replace(mark, i == 0 && scheme != PrependScheme.Never ? "" : " ", StringComparison.Ordinal));
        return result;
    }
}
