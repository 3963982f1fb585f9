using System.Text.Json;

namespace Trainer.Tokenizers.AddedTokens;

/// <summary>
/// Adds tokens to the files of a tokenizer as transformers' <c>add_tokens</c> and <c>save_pretrained</c> would: found in raw text as a whole, not special.
/// Every byte of the files that says something else stays as it is.
/// </summary>
public static class TokenizerGrowth
{
    private const string Tokenizer = "tokenizer.json", Config = "tokenizer_config.json", Added = "added_tokens.json", Listed = "added_tokens",
        Numbered = "added_tokens_decoder";

    /// <summary>Writes the files that change into a folder that has copies of all of them.</summary>
    /// <param name="folder">A folder with the tokenizer's files.</param>
    /// <param name="tokens">Texts and ids, in the order of their ids; the first id is the tokenizer's next.</param>
    /// <exception cref="TokenizerException">A file is no JSON object.</exception>
    public static void Add(string folder, IReadOnlyList<(string Text, int Id)> tokens)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        var (tokenizer, config, added) = (Path.Combine(folder, Tokenizer), Path.Combine(folder, Config), Path.Combine(folder, Added));
        var isNumbered = File.Exists(config) && End(File.ReadAllBytes(config), config, Numbered) is not null;
        if (File.Exists(tokenizer)) Insert(tokenizer, Listed, tokens.Select(token => $"{{\"id\":{token.Id},{Flags(token.Text)}}}"));
        // Where the configuration numbers added tokens, what it leaves out is not one.
        if (isNumbered) Insert(config, Numbered, tokens.Select(token => $"\"{token.Id}\":{{{Flags(token.Text)}}}"));
        if (!File.Exists(added) && (File.Exists(tokenizer) || isNumbered)) return;
        if (!File.Exists(added)) File.WriteAllText(added, "{}");
        Insert(added, null, tokens.Select(token => $"{Quoted(token.Text)}:{token.Id}"));
    }

    private static string Flags(string text)
        => $"\"content\":{Quoted(text)},\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false";

    private static string Quoted(string text) => JsonSerializer.Serialize(text);

    // Puts items in at the end of a list or object of the file, or of the file itself.
    private static void Insert(string path, string? property, IEnumerable<string> items)
    {
        var bytes = File.ReadAllBytes(path);
        var text = string.Join(',', items);
        var (at, isEmpty) = End(bytes, path, property) ?? (Begin(bytes, path) + 1, true);
        if (property is not null && End(bytes, path, property) is null) text = $"\"{property}\":[{text}],";
        else if (!isEmpty) text = "," + text;
        File.WriteAllBytes(path, [.. bytes[..at], .. System.Text.Encoding.UTF8.GetBytes(text), .. bytes[at..]]);
    }

    private static int Begin(byte[] bytes, string path)
        => Array.IndexOf(bytes, (byte)'{') is >= 0 and var at ? at : throw new TokenizerException($"'{path}' is no JSON object; copy or download it again");

    // The place of the closing bracket of a property's value at the top, and whether nothing stands before it; null where there is no such list or object.
    private static (int At, bool IsEmpty)? End(byte[] bytes, string path, string? property)
    {
        var mark = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
        try
        {
            var reader = new Utf8JsonReader(bytes.AsSpan(mark),
                new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            var (isInside, depth, last) = (property is null, property is null ? 0 : 1, JsonTokenType.None);
            while (reader.Read())
            {
                if (property is not null && reader.CurrentDepth == 1 && reader.TokenType == JsonTokenType.PropertyName)
                    isInside = reader.ValueTextEquals(property);
                else if (isInside && reader.CurrentDepth == depth && reader.TokenType is (JsonTokenType.EndArray or JsonTokenType.EndObject))
                    return (mark + (int)reader.TokenStartIndex, last is JsonTokenType.StartArray or JsonTokenType.StartObject);
                last = reader.TokenType;
            }
            return null;
        }
        catch (JsonException fault)
        {
            throw new TokenizerException($"'{path}' cannot be read: {fault.Message.Split('\n')[0].TrimEnd('.')}; copy or download it again", fault);
        }
    }
}
