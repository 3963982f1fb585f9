using System.Text.Json;

namespace Trainer.Templates;

/// <summary>The chat templates of a model folder: a default one, and by name others such as <c>tool_use</c>.</summary>
public sealed class ChatTemplateSet
{
    private const string DefaultName = "default";
    private const string ToolName = "tool_use";

    private ChatTemplateSet(IReadOnlyDictionary<string, ChatTemplate> templates) => Templates = templates;

    /// <summary>All templates by name; a single one is called <c>default</c>.</summary>
    public IReadOnlyDictionary<string, ChatTemplate> Templates { get; }

    /// <summary>The template for conversations without tools.</summary>
    /// <exception cref="TemplateException">The folder has several templates and none is the default.</exception>
    public ChatTemplate Default => Templates.GetValueOrDefault(DefaultName) ?? throw new TemplateException(
        $"the model has several chat templates and none is called 'default' ({string.Join(", ", Templates.Keys.Select(name => $"'{name}'"))}): it is not "
        + "clear which to use; choose one with --chat-template FILE");

    /// <summary>The template transformers would take: <c>tool_use</c> for conversations with tools where there is one, else the default.</summary>
    public ChatTemplate For(bool hasTools) => hasTools && Templates.TryGetValue(ToolName, out var withTools) ? withTools : Default;

    /// <summary>
    /// Loads the templates of a folder in transformers' order: <c>chat_template.jinja</c> and <c>additional_chat_templates/*.jinja</c> replace what
    /// tokenizer_config.json holds (a string or a list of name and template); <c>chat_template.json</c> comes last.
    /// </summary>
    /// <param name="directory">The model's folder.</param>
    /// <param name="overrideFile">A Jinja file (or JSON with <c>chat_template</c>) that replaces all of them, or null.</param>
    /// <returns>The templates, or null where the folder has none.</returns>
    /// <exception cref="TemplateException">A file cannot be read or is no template.</exception>
    public static ChatTemplateSet? Load(string directory, string? overrideFile = null)
    {
        var config = Json(Path.Combine(directory, "tokenizer_config.json"));
        var special = SpecialTokens(config, Json(Path.Combine(directory, "special_tokens_map.json")));
        if (overrideFile != null)
            return new ChatTemplateSet(new Dictionary<string, ChatTemplate> { [DefaultName] = Parse(FromFile(overrideFile), overrideFile, special) });
        var sources = FromFiles(directory);
        if (sources.Count == 0 && config is { } members && members.TryGetProperty("chat_template", out var value))
            sources = FromConfig(value, Path.Combine(directory, "tokenizer_config.json"));
        var processor = Path.Combine(directory, "chat_template.json");
        if (sources.Count == 0 && File.Exists(processor)) sources[DefaultName] = (FromFile(processor), processor);
        return sources.Count == 0 ? null : new ChatTemplateSet(sources.ToDictionary(pair => pair.Key,
            pair => Parse(pair.Value.Source, pair.Value.Name, special)));
    }

    private static ChatTemplate Parse(string source, string name, IReadOnlyDictionary<string, JsonElement> special)
        => ChatTemplate.Parse(source, name, special);

    private static Dictionary<string, (string Source, string Name)> FromFiles(string directory)
    {
        var sources = new Dictionary<string, (string, string)>();
        var single = Path.Combine(directory, "chat_template.jinja");
        if (File.Exists(single)) sources[DefaultName] = (Text(single), single);
        var folder = Path.Combine(directory, "additional_chat_templates");
        if (Directory.Exists(folder))
            foreach (var file in Directory.EnumerateFiles(folder, "*.jinja").Order(StringComparer.Ordinal))
                sources[Path.GetFileNameWithoutExtension(file)] = (Text(file), file);
        return sources;
    }

    private static Dictionary<string, (string Source, string Name)> FromConfig(JsonElement value, string file)
    {
        var sources = new Dictionary<string, (string, string)>();
        switch (value.ValueKind)
        {
            case JsonValueKind.String: sources[DefaultName] = (value.GetString()!, $"{file}: chat_template"); break;
            case JsonValueKind.Null: break;
            case JsonValueKind.Array:
                foreach (var entry in value.EnumerateArray())
                {
                    if (entry.ValueKind != JsonValueKind.Object || Member(entry, "name") is not { } name || Member(entry, "template") is not { } template)
                        throw Malformed(file);
                    sources[name] = (template, $"{file}: chat_template '{name}'");
                }
                break;
            case JsonValueKind.Object:
                foreach (var entry in value.EnumerateObject())
                    sources[entry.Name] = (entry.Value.ValueKind == JsonValueKind.String
                        ? entry.Value.GetString()! : throw Malformed(file), $"{file}: chat_template '{entry.Name}'");
                break;
            default: throw Malformed(file);
        }
        return sources;
    }

    private static TemplateException Malformed(string file) =>
        new($"cannot use the chat template ({file}): 'chat_template' must be a string or a list of objects with 'name' and 'template'; give one with "
        + "--chat-template FILE");

    private static string FromFile(string file)
    {
        if (!file.EndsWith(".json", StringComparison.OrdinalIgnoreCase)) return Text(file);
        return Json(file) is { } members && Member(members, "chat_template") is { } template ? template
            : throw new TemplateException($"cannot use the chat template ({file}): it has no string 'chat_template'; give a Jinja file with --chat-template "
                + "FILE");
    }

    private static string? Member(JsonElement owner, string name) =>
        owner.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static Dictionary<string, JsonElement> SpecialTokens(JsonElement? config, JsonElement? map)
    {
        var tokens = new Dictionary<string, JsonElement>();
        // As the tokenizer names its roles: a configuration with added tokens of its own says all; else the map wins.
        var isComplete = config is { } given && given.TryGetProperty("added_tokens_decoder", out var decoder) && decoder.ValueKind != JsonValueKind.Null;
        foreach (var source in isComplete ? new[] { config } : [map, config])
        {
            if (source is not { } members) continue;
            foreach (var member in members.EnumerateObject())
                if (member.Name.EndsWith("_token", StringComparison.Ordinal) && Content(member.Value) is { } content) tokens.TryAdd(member.Name, content);
            if (members.TryGetProperty("extra_special_tokens", out var extra) && extra.ValueKind == JsonValueKind.Object)
                foreach (var member in extra.EnumerateObject())
                    if (Content(member.Value) is { } content) tokens.TryAdd(member.Name, content);
        }
        return tokens;
    }

    private static JsonElement? Content(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value,
        JsonValueKind.Object when value.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.String => content,
        _ => null,
    };

    private static JsonElement? Json(string file)
    {
        if (!File.Exists(file)) return null;
        try
        {
            using var document = JsonDocument.Parse(Text(file));
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone()
                : throw new TemplateException($"cannot read the chat template ({file}): the file holds no JSON object; restore it, or give a template with "
                    + "--chat-template FILE");
        }
        catch (JsonException error)
        {
            throw new TemplateException($"cannot read the chat template ({file}): it is no valid JSON, line {error.LineNumber + 1}; restore it, or give a "
                + "template with --chat-template FILE", inner: error);
        }
    }

    private const long MostBytes = 16 << 20;

    private static string Text(string file)
    {
        try
        {
            using var reader = new StreamReader(file);
            if (reader.BaseStream.Length is var length && length > MostBytes)
                throw new TemplateException($"cannot read the chat template ({file}): it has {length >> 20} MiB, and no template has more "
                    + $"than {MostBytes >> 20}; check the path given to --chat-template");
            return reader.ReadToEnd();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new TemplateException($"cannot read the chat template ({file}): {error.Message.TrimEnd('.')}; check the path given to --chat-template",
                inner: error);
        }
    }
}
