using System.Text;
using Trainer.Tokenizers.Patterns;

namespace Trainer.Tokenizers.Decoders;

/// <summary>Replaces every match within each token.</summary>
internal sealed class ReplaceDecoder(IMatcher matcher, string content) : IDecoder
{
    public List<string> Apply(List<string> tokens)
    {
        var matches = new MatchList();
        return tokens.ConvertAll(token =>
        {
            matches.Clear();
            if (token.Length > 0)
                matcher.Find(token, matches);
            if (matches.Count == 0)
                return token;
            var text = new StringBuilder();
            var done = 0;
            for (var i = 0; i < matches.Count; i++)
            {
                text.Append(token, done, matches[i].Begin - done).Append(content);
                done = matches[i].End;
            }
            return text.Append(token, done, token.Length - done).ToString();
        });
    }
}
