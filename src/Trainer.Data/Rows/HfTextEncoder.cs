using System.Collections.Concurrent;
using Trainer.Tokenizers;

namespace Trainer.Data.Rows;

/// <summary>The model's own tokenizer.</summary>
internal sealed class HfTextEncoder(HfTokenizer tokenizer) : ITextEncoder
{
    private readonly ConcurrentDictionary<int, bool> _blank = new();

    public int VocabularySize => tokenizer.VocabularySize;
    public int? BosId => tokenizer.BosId;
    public int? EosId => tokenizer.EosId;
    public string? EosToken => tokenizer.EosToken;
    public string ContentHash => tokenizer.ContentHash;

    public (int[] Ids, (int Start, int End)[] Offsets) Encode(string text, bool addSpecialTokens)
    {
        try
        {
            var encoding = tokenizer.Encode(text, addSpecialTokens);
            return (encoding.Ids, encoding.Offsets);
        }
        catch (TokenizerException fault)
        {
            throw BadRowException.Malformed(fault.Message);
        }
    }

    public string Decode(ReadOnlySpan<int> ids) => tokenizer.Decode(ids, skipSpecialTokens: false);

    public bool IsSpecial(int id) => tokenizer.IsSpecial(id);

    public bool IsBlank(int id) => _blank.GetOrAdd(id, key => string.IsNullOrWhiteSpace(tokenizer.Decode([key], skipSpecialTokens: false)));
}
