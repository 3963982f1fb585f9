using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Runs;

namespace Trainer.Checkpoints.Folders;

/// <summary>
/// Where the text of a model comes from. An adapter's folder that brings a tokenizer or a chat template was trained with it: it goes before the
/// base's. A checkpoint has those of its run.
/// </summary>
/// <param name="Tokenizer">Folder of the tokenizer files.</param>
/// <param name="Template">Folder of the chat template.</param>
public sealed record TextFolders(string Tokenizer, string Template)
{
    private const string Checkpoint = "checkpoint-";

    /// <summary>The folders for a model, with or without an adapter.</summary>
    /// <param name="model">The base's folder.</param>
    /// <param name="adapter">The adapter's folder, or null.</param>
    public static TextFolders Of(string model, string? adapter)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (adapter is null) return new TextFolders(model, model);
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(adapter));
        string[] own = Path.GetFileName(full).StartsWith(Checkpoint, StringComparison.Ordinal) && Path.GetDirectoryName(full) is string run
            ? [full, run] : [full];
        return new TextFolders(Array.Find(own, HasTokenizer) ?? model, Array.Find(own, HasTemplate) ?? model);
    }

    /// <summary>Whether a folder has a tokenizer.</summary>
    public static bool HasTokenizer(string folder)
        => File.Exists(Path.Combine(folder, "tokenizer.json")) || File.Exists(Path.Combine(folder, "tokenizer.model"));

    /// <summary>Whether a folder has a chat template, in a file of its own or in tokenizer_config.json.</summary>
    public static bool HasTemplate(string folder)
        => ModelFolderFiles.TemplateNames.Any(name => File.Exists(Path.Combine(folder, name))) || TemplateOfConfig(folder) is not null;

    /// <summary>The default template in a folder's tokenizer_config.json, or null.</summary>
    internal static string? TemplateOfConfig(string folder)
    {
        var path = Path.Combine(folder, "tokenizer_config.json");
        if (!File.Exists(path)) return null;
        try
        {
            using var config = PythonJson.Parse(SmallFile.Bytes(path));
            if (config.RootElement.ValueKind != JsonValueKind.Object || !config.RootElement.TryGetProperty("chat_template", out var template))
                return null;
            return template.ValueKind switch
            {
                JsonValueKind.String => template.GetString(),
                JsonValueKind.Array => template.EnumerateArray().Where(static one => Text(one, "name") == "default").Select(static one => Text(one, "template"))
                    .FirstOrDefault(),
                _ => null,
            };
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            // Whoever needs the tokenizer says what is wrong with the file.
            return null;
        }
    }

    private static string? Text(JsonElement element, string key)
        => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() : null;
}
