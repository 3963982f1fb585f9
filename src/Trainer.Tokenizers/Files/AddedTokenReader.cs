using System.Globalization;
using System.Text.Json;
using Trainer.Tokenizers.AddedTokens;
using Trainer.Tokenizers.Bpe;

namespace Trainer.Tokenizers.Files;

/// <summary>Collects the added tokens of a folder; the id that a file gives must be the one the token really has.</summary>
internal sealed class AddedTokenReader
{
    private readonly Dictionary<string, int> _places = new(StringComparer.Ordinal);
    private readonly List<AddedToken> _tokens;
    private readonly Vocabulary _vocabulary;
    private int _next;

    private AddedTokenReader(List<AddedToken> tokens, Vocabulary vocabulary)
    {
        (_tokens, _vocabulary) = (tokens, vocabulary);
        for (var i = 0; i < tokens.Count; i++) _places[tokens[i].Content] = i;
        _next = vocabulary.Count;
    }

    /// <summary>Tokens of a tokenizer.json and of what stands beside it.</summary>
    public static List<AddedToken> Read(JsonSection file, FilesBeside beside, Vocabulary vocabulary)
    {
        var reader = new AddedTokenReader([], vocabulary);
        var section = file.Member("added_tokens");
        if (!section.IsNull)
            foreach (var item in section.Items())
                reader.Add(ReadToken(item, item.Member("id").Number()), item);
        return reader.With(beside);
    }

    /// <summary>Tokens that a model brings along, and those of the files beside it.</summary>
    public static List<AddedToken> Read(List<AddedToken> tokens, FilesBeside beside, Vocabulary vocabulary)
        => new AddedTokenReader(tokens, vocabulary).With(beside);

    private List<AddedToken> With(FilesBeside beside)
    {
        var special = new Dictionary<string, JsonSection>(StringComparer.Ordinal);
        foreach (var (content, named) in beside.SpecialTokens()) special.TryAdd(content, named);
        _next = Math.Max(_next, _tokens.Count == 0 ? 0 : _tokens.Max(token => token.Id) + 1);
        if (beside.Decoder is { } decoder)
        {
            // The configuration adds them anew, so its flags win over those of tokenizer.json; a token with a role is special whatever they say.
            foreach (var (token, item) in Numbered(decoder, static (id, item) => ReadToken(item, id)))
                Put(token with { Special = token.Special || special.ContainsKey(token.Content) }, item);
        }
        else if (beside.Added is { } added)
        {
            foreach (var (token, item) in Listed(added, special.ContainsKey))
                if (!_tokens.Exists(each => each.Id == token.Id)) Put(token, item);
        }
        // A role may name a token of the vocabulary that no list has: it is then found in text as a whole. One that the vocabulary lacks stands for nothing.
        foreach (var (content, named) in special)
            if (!_places.ContainsKey(content) && _vocabulary.IdOf(content) is { } id)
                Put(named.Element.ValueKind == JsonValueKind.Object
                    ? ReadToken(named, id) with { Special = true } : new AddedToken(id, content, false, false, false, false, true), named);
        return _tokens;
    }

    private static List<(AddedToken Token, JsonSection Item)> Numbered(JsonSection section, Func<int, JsonSection, AddedToken> read)
    {
        if (section.Element.ValueKind != JsonValueKind.Object)
            throw section.Fault("an object was expected");
        var numbered = new List<(AddedToken Token, JsonSection Item)>();
        foreach (var property in section.Element.EnumerateObject())
        {
            if (!int.TryParse(property.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                throw section.Fault($"the key '{property.Name}' is no id");
            var item = new JsonSection(property.Value, section.File, $"{section.Path}.{id}");
            numbered.Add((read(id, item), item));
        }
        return [.. numbered.OrderBy(pair => pair.Token.Id)];
    }

    /// <summary>added_tokens.json: texts and ids without flags; those with a role are special and found before the text is normalized.</summary>
    private static IEnumerable<(AddedToken Token, JsonSection Item)> Listed(JsonSection section, Func<string, bool> isSpecial)
    {
        var tokens = new List<(AddedToken Token, JsonSection Item)>();
        foreach (var property in section.Element.EnumerateObject())
        {
            var item = new JsonSection(property.Value, section.File, property.Name);
            var special = isSpecial(property.Name);
            tokens.Add((new AddedToken(item.Number(), property.Name, false, false, false, !special, special), item));
        }
        return tokens.OrderBy(pair => pair.Token.Id);
    }

    /// <summary>Adds a token, or takes new flags for one that is there.</summary>
    private void Put(AddedToken token, JsonSection item)
    {
        if (_places.TryGetValue(token.Content, out var place))
        {
            if (_tokens[place].Id != token.Id)
                throw item.Fault($"token '{token.Content}' has id {token.Id} here but {_tokens[place].Id} in the vocabulary");
            _tokens[place] = token;
        }
        else Add(token, item);
    }

    private void Add(AddedToken token, JsonSection item)
    {
        if (token.Content.Length == 0)
            return;
        var known = _places.TryGetValue(token.Content, out var place) ? _tokens[place].Id : _vocabulary.IdOf(token.Content);
        var expected = known ?? _next;
        if (expected != token.Id)
            throw item.Fault($"added token '{token.Content}' says id {token.Id}, but the vocabulary gives it {expected}");
        // As in the reference, only a new token moves the next free id on.
        if (known is null)
            _next++;
        _places[token.Content] = _tokens.Count;
        _tokens.Add(token);
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
