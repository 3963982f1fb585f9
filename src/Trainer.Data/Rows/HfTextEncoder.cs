using System.Collections.Concurrent;
using Trainer.Tokenizers;

namespace Trainer.Data.Rows;

/// <summary>The model's own tokenizer.</summary>
/// <param name="tokenizer">It.</param>
/// <param name="eos">What ends a text, or null where nothing does.</param>
internal sealed class HfTextEncoder(HfTokenizer tokenizer, int? eos) : ITextEncoder
{
    private readonly ConcurrentDictionary<int, bool> _blank = new();

    public int VocabularySize => tokenizer.VocabularySize;
    public int? BosId => tokenizer.BosId;
    public int? EosId => eos;
    public string? EosToken => eos is { } id ? tokenizer.TokenOf(id) : null;
    public string ContentHash => $"{tokenizer.ContentHash} {eos}";

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
