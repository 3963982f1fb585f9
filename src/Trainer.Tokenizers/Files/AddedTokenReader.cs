using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.Bpe;

namespace Trainer.Tokenizers.Files;

/// <summary>Reads added tokens; the id that a file gives must be the one the token really has.</summary>
internal static class AddedTokenReader
{
    /// <summary>Tokens of a tokenizer.json, and those that only tokenizer_config.json names.</summary>
    public static List<AddedToken> Read(JsonSection file, JsonSection? config, Vocabulary vocabulary)
    {
        var tokens = new List<AddedToken>();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var section = file.Member("added_tokens");
        if (!section.IsNull)
        {
            foreach (var item in section.Items())
                Add(ReadToken(item, item.Member("id").Number(), item.Member("special").Flag(false)), item);
        }
        if (config?.Member("added_tokens_decoder") is { IsNull: false } decoder)
        {
            if (decoder.Element.ValueKind != System.Text.Json.JsonValueKind.Object)
                throw decoder.Fault("an object was expected");
            foreach (var property in decoder.Element.EnumerateObject().OrderBy(property => property.Name.Length).ThenBy(property => property.Name, StringComparer.Ordinal))
            {
                var item = decoder.Member(property.Name);
                if (!int.TryParse(property.Name, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var id))
                    throw item.Fault("the key is no id");
                var token = ReadToken(item, id, item.Member("special").Flag(false));
                if (!ids.TryGetValue(token.Content, out var known))
                    Add(token, item);
                else if (known != id)
                    throw item.Fault($"token '{token.Content}' has id {id} here but {known} in tokenizer.json");
            }
        }
        return tokens;

        void Add(AddedToken token, JsonSection item)
        {
            if (token.Content.Length == 0)
                return;
            var expected = ids.TryGetValue(token.Content, out var earlier) ? earlier : vocabulary.IdOf(token.Content) ?? NextId(ids, vocabulary);
            if (expected != token.Id)
                throw item.Fault($"added token '{token.Content}' says id {token.Id}, but the vocabulary gives it {expected}");
            ids[token.Content] = token.Id;
            tokens.Add(token);
        }
    }

    private static int NextId(Dictionary<string, int> ids, Vocabulary vocabulary)
    {
        var highest = ids.Count == 0 ? -1 : ids.Values.Max();
        return highest >= vocabulary.Count ? highest + 1 : vocabulary.Count;
    }

    private static AddedToken ReadToken(JsonSection item, int id, bool special) => new(
        id,
        item.Member("content").Text(),
        item.Member("single_word").Flag(false),
        item.Member("lstrip").Flag(false),
        item.Member("rstrip").Flag(false),
        item.Member("normalized").Flag(!special),
        special);
}
