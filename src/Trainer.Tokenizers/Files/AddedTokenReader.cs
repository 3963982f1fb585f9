using System.Globalization;
using System.Text.Json;
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
        var section = file.Member("added_tokens");
        if (!section.IsNull)
        {
            var ids = new Dictionary<string, int>(StringComparer.Ordinal);
            var next = vocabulary.Count;
            foreach (var item in section.Items())
                Add(tokens, ids, ref next, vocabulary, ReadToken(item, item.Member("id").Number()), item);
        }
        AddFromConfig(tokens, config, vocabulary);
        return tokens;
    }

    /// <summary>Adds the tokens of an added_tokens_decoder that are not there yet.</summary>
    public static void AddFromConfig(List<AddedToken> tokens, JsonSection? config, Vocabulary vocabulary)
    {
        if (config?.Member("added_tokens_decoder") is not { IsNull: false } decoder)
            return;
        if (decoder.Element.ValueKind != JsonValueKind.Object)
            throw decoder.Fault("an object was expected");
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var token in tokens)
            ids[token.Content] = token.Id;
        var next = Math.Max(vocabulary.Count, tokens.Count == 0 ? 0 : tokens.Max(token => token.Id) + 1);
        var numbered = new List<(int Id, JsonSection Item)>();
        foreach (var property in decoder.Element.EnumerateObject())
        {
            if (!int.TryParse(property.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                throw decoder.Fault($"the key '{property.Name}' is no id");
            numbered.Add((id, new JsonSection(property.Value, decoder.File, $"{decoder.Path}.{id}")));
        }
        foreach (var (id, item) in numbered.OrderBy(pair => pair.Id))
        {
            var token = ReadToken(item, id);
            if (!ids.TryGetValue(token.Content, out var known))
                Add(tokens, ids, ref next, vocabulary, token, item);
            else if (known != id)
                throw item.Fault($"token '{token.Content}' has id {id} here but {known} in the vocabulary");
        }
    }

    private static void Add(List<AddedToken> tokens, Dictionary<string, int> ids, ref int next, Vocabulary vocabulary, AddedToken token, JsonSection item)
    {
        if (token.Content.Length == 0)
            return;
        var known = ids.TryGetValue(token.Content, out var earlier) ? earlier : vocabulary.IdOf(token.Content);
        var expected = known ?? next;
        if (expected != token.Id)
            throw item.Fault($"added token '{token.Content}' says id {token.Id}, but the vocabulary gives it {expected}");
        // As in the reference, only a new token moves the next free id on.
        if (known is null)
            next++;
        ids[token.Content] = token.Id;
        tokens.Add(token);
    }

    private static AddedToken ReadToken(JsonSection item, int id)
    {
        var special = item.Member("special").Flag(false);
        return new AddedToken(
            id,
            item.Member("content").Text(),
            item.Member("single_word").Flag(false),
            item.Member("lstrip").Flag(false),
            item.Member("rstrip").Flag(false),
            item.Member("normalized").Flag(!special),
            special);
    }
}
