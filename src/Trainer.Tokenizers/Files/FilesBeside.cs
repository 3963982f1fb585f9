using System.Text.Json;

namespace Trainer.Tokenizers.Files;

/// <summary>
/// What stands beside a tokenizer, with transformers' precedence: an <c>added_tokens_decoder</c> in tokenizer_config.json says all of added tokens
/// and roles and the other files are not asked; without one, special_tokens_map.json wins over the configuration, and added_tokens.json adds tokens. A role
/// that no file names has the token of the configuration's class.
/// </summary>
/// <param name="Config">tokenizer_config.json, or null.</param>
/// <param name="Map">special_tokens_map.json, or null.</param>
/// <param name="Added">added_tokens.json, or null.</param>
internal sealed record FilesBeside(JsonSection? Config, JsonSection? Map, JsonSection? Added)
{
    private static readonly string[] RoleNames = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
    private static readonly string[] ListNames = ["additional_special_tokens", "extra_special_tokens"];

    /// <summary>The configuration's own added tokens, or null.</summary>
    public JsonSection? Decoder => Config?.Member("added_tokens_decoder") is { IsNull: false } decoder ? decoder : null;

    /// <summary>The roles of special tokens.</summary>
    /// <param name="isThere">Whether the vocabulary has a token: one that a class alone names stands for nothing where it has not.</param>
    public SpecialTokens Roles(Func<string, bool> isThere)
    {
        return new(TokenOf("bos_token"), TokenOf("eos_token"), TokenOf("pad_token"), TokenOf("unk_token"));

        string? TokenOf(string role) => Named(role) is { } named ? Content(named) : OfTheClass(role) is { } token && isThere(token) ? token : null;
    }

    /// <summary>Every token that has a role or is named as special, and where it is named (an object with flags, or its text).</summary>
    public IEnumerable<(string Content, JsonSection Named)> SpecialTokens()
    {
        foreach (var name in RoleNames)
            if (Find(name) is { } named) yield return (Content(named), named);
        foreach (var file in new[] { Config, Decoder is null ? Map : null })
        {
            foreach (var name in ListNames)
                foreach (var named in Listed(file, name)) yield return (Content(named), named);
            foreach (var named in OfTheModel(file)) yield return (Content(named), named);
        }
    }

    private JsonSection? Find(string role) => Named(role)
        ?? (OfTheClass(role) is { } token ? new JsonSection(JsonSerializer.SerializeToElement(token), Config!.Value.File, role) : null);

    private JsonSection? Named(string role) => (Decoder is null ? Member(Map, role) : null) ?? Member(Config, role);

    // A role that is named null has no token, whatever the class.
    private string? OfTheClass(string role) =>
        Config is not { } config || IsSaid(config, role) || Decoder is null && Map is { } map && IsSaid(map, role) ? null
        : ClassTokens.Of(config.Member("tokenizer_class") is { Element.ValueKind: JsonValueKind.String } name ? name.Text() : null, role);

    private static bool IsSaid(JsonSection file, string role) => file.Member(role).Element.ValueKind != JsonValueKind.Undefined;

    private static JsonSection? Member(JsonSection? file, string name) => file?.Member(name) is { IsNull: false } value ? value : null;

    // Models name tokens of their own, such as image_token.
    private static IEnumerable<JsonSection> OfTheModel(JsonSection? file) => file is not { Element.ValueKind: JsonValueKind.Object } map ? []
        : map.Element.EnumerateObject().Where(property => property.Name.EndsWith("_token", StringComparison.Ordinal) && !RoleNames.Contains(property.Name))
        .Select(property => map.Member(property.Name)).Where(value => value.Element.ValueKind == JsonValueKind.String
        || value.Element.ValueKind == JsonValueKind.Object && value.Member("content").Element.ValueKind == JsonValueKind.String);

    // Newer configurations hold a mapping of names to tokens here.
    private static IEnumerable<JsonSection> Listed(JsonSection? file, string name) => Member(file, name) switch
    {
        { Element.ValueKind: JsonValueKind.Array } list => list.Items(),
        { Element.ValueKind: JsonValueKind.Object } map =>
            map.Element.EnumerateObject().Select(property => map.Member(property.Name))
            .Where(value => value.Element.ValueKind is JsonValueKind.String or JsonValueKind.Object),
        _ => [],
    };

    private static string Content(JsonSection named) => named.Element.ValueKind == JsonValueKind.Object ? named.Member("content").Text() : named.Text();
}
