using System.Text.Json;

namespace Trainer.Tokenizers.Files;

/// <summary>The roles of special tokens, as tokenizer_config.json and special_tokens_map.json give them.</summary>
/// <param name="Bos">Begin-of-sequence token, or null.</param>
/// <param name="Eos">End-of-sequence token, or null.</param>
/// <param name="Pad">Padding token, or null.</param>
/// <param name="Unk">Unknown token, or null.</param>
internal sealed record SpecialTokens(string? Bos, string? Eos, string? Pad, string? Unk)
{
    /// <summary>Reads the roles; the map counts only for configurations without an added_tokens_decoder, as in transformers.</summary>
    public static SpecialTokens Read(JsonSection? config, JsonSection? map)
    {
        var legacy = config is null || config.Value.Member("added_tokens_decoder").IsNull;
        string? Find(string name) => (legacy ? TokenIn(map, name) : null) ?? TokenIn(config, name) ?? (legacy ? null : TokenIn(map, name));
        return new SpecialTokens(Find("bos_token"), Find("eos_token"), Find("pad_token"), Find("unk_token"));
    }

    private static string? TokenIn(JsonSection? section, string name)
    {
        if (section?.Member(name) is not { IsNull: false } value)
            return null;
        return value.Element.ValueKind == JsonValueKind.Object ? value.Member("content").Text() : value.Text();
    }
}
