using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Cli.Options;
using Trainer.Data;
using Trainer.Data.Conversations;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>Data sets, templates and special tokens of other tools' configurations.</summary>
internal static class ImportedData
{
    // Prompt styles of axolotl that trainer sees in the columns and renders the same way.
    private static readonly string[] Styles = ["chat_template", "sharegpt", "completion", "pretrain", "alpaca", "input_output"];

    /// <summary>A list of data sets, each a mapping.</summary>
    public static void Axolotl(ImportDraft draft, string key, YamlNode node, Setting setting)
    {
        var sources = new List<object>();
        foreach (var entry in node is YamlSequenceNode list ? list.Children : [node])
        {
            if (entry is not YamlMappingNode map) continue;
            var fields = map.Children.ToDictionary(pair => pair.Key.ToString(), pair => pair.Value);
            string? Text(string name) => fields.Remove(name, out var value) && !ImportDraft.IsNothing(ImportDraft.Flat(value)) ? ImportDraft.Flat(value) : null;
            var columns = new Dictionary<string, object>();
            var path = Text("path");
            if (path is not null && Text("revision") is { } revision && !Directory.Exists(path)) path = $"{path}@{revision}";
            var files = Text("data_files");
            Style(draft, key, fields, path);
            Columns(draft, key, Text, columns);
            var (split, subset) = (Text("split"), Text("name"));
            if (split == "train" && setting == DataSettings.Data) split = null;
            if (fields.TryGetValue("roles", out var roles) && roles is YamlMappingNode named
                && named.Children.All(pair => IsSaidSo(pair.Key.ToString(), pair.Value))) fields.Remove("roles");
            foreach (var name in fields.Keys.ToList()) Other(draft, key, name, ImportDraft.Flat(fields[name]));
            foreach (var source in Files(draft, key, path, files)) sources.Add(Source(draft, key + ".split", source, split, subset, columns));
        }
        if (sources.Count > 0) draft.Set(setting, sources);
    }

    /// <summary>A mixture of TRL: path, subset and split of each part.</summary>
    public static void Mixture(ImportDraft draft, string key, YamlNode node, Setting setting) => Axolotl(draft, key, node, setting);

    /// <summary>Files of a loader's kind (path: json) are files here; those of a folder lie in it; those of a hub's data set have no name of their own
    /// here.</summary>
    public static IEnumerable<string> Files(ImportDraft draft, string key, string? path, string? files)
    {
        if (files is null) return path is null ? [] : [path];
        var names = ImportDraft.Words(files).Cast<string>();
        if (path is null or "json" or "csv" or "parquet" or "text" or "arrow") return names;
        if (Directory.Exists(path)) return names.Select(name => Path.Combine(path, name));
        draft.Change(key + ".data_files", files, $"files of '{path}' are taken by subset and split: name these, or download it and name the files");
        return [path];
    }

    /// <summary>A source of a recipe: the path alone, or with the part and the columns that are meant.</summary>
    public static object Source(ImportDraft draft, string key, string path, string? split, string? subset, Dictionary<string, object> columns)
    {
        try
        {
            if (split is not null) DataSource.CheckSplit(split);
        }
        catch (DataException fault)
        {
            draft.Change(key, split!, fault.Message);
        }
        if (split is null && subset is null && columns.Count == 0) return path;
        var source = new Dictionary<string, object> { ["path"] = path };
        if (split is not null) source["split"] = split;
        if (subset is not null) source["subset"] = subset;
        if (columns.Count > 0) source["columns"] = columns;
        return source;
    }

    // Whether the names that a configuration gives a role have it here too.
    private static bool IsSaidSo(string role, YamlNode names) =>
        (names is YamlSequenceNode list ? list.Children.Select(ImportDraft.Flat) : [ImportDraft.Flat(names)]).All(name => Roles.Of(name) == Roles.Of(role));

    private static void Style(ImportDraft draft, string key, Dictionary<string, YamlNode> fields, string? path)
    {
        if (!fields.Remove("type", out var type)) return;
        var style = ImportDraft.Flat(type);
        if (ImportDraft.IsNothing(style)) return;
        if (type is YamlMappingNode || !Styles.Contains(style.Split('.')[0]))
            draft.Change(key + ".type", style, "trainer does not write prompts in this style; write the rows as messages, or as prompt and completion");
        else if (style.Split('.')[0] == "alpaca" && HasTemplate(draft) is not false)
            Differs(draft, key + ".type", style, HasTemplate(draft) is true,
                $"rows of '{path}' are written in the model's chat template here, and as the Alpaca prompt there");
    }

    /// <summary>Rows that are written in another way: certain where the model is here, else a sentence to be looked at.</summary>
    public static void Differs(ImportDraft draft, string key, string value, bool isCertain, string reason)
    {
        if (isCertain) draft.Change(key, value, reason);
        else draft.Miss($"where the model has a chat template, {reason}; look at 'trainer data show'");
    }

    private static void Columns(ImportDraft draft, string key, Func<string, string?> text, Dictionary<string, object> columns)
    {
        if (text("field_messages") is { } messages && messages is not ("messages" or "conversations")) columns["messages"] = messages;
        if (text("field") is { } field && field != "text") columns["text"] = field;
        if (text("field_instruction") is { } instruction && instruction != "instruction") columns["instruction"] = instruction;
        if (text("field_output") is { } output && output != "output") columns["output"] = output;
        foreach (var side in new[] { "chosen", "rejected" })
            if (text("field_" + side) is { } answer && answer != side) columns[side] = answer;
        foreach (var name in new[] { "message_field_role", "message_field_content" })
            if (text(name) is { } word && word is not ("role" or "content" or "from" or "value"))
                draft.Change($"{key}.{name}", word, "a turn has role and content, or from and value");
        if (text("message_property_mappings") is { } mapping && mapping is not ("role=role, content=content" or "role=from, content=value"))
            draft.Change(key + ".message_property_mappings", mapping, "a turn has role and content, or from and value");
    }

    private static void Other(ImportDraft draft, string key, string name, string value)
    {
        if (ImportDraft.IsNothing(value)) return;
        var path = $"{key}.{name}";
        switch (name)
        {
            case "ds_type" or "trust_remote_code" or "preprocess_shards" or "revision" when name != "revision":
                draft.Drop(path, value, "the kind of file is seen from its name"); break;
            case "roles_to_train" when value is "assistant" or "gpt" or "gpt, assistant" or "assistant, gpt": break;
            case "columns": draft.Drop(path, value, "columns that nothing reads are counted and told"); break;
            case "field_tools" when value is "tools": break;
            case "field_thinking" or "template_thinking_key" when value is "reasoning_content" or "reasoning" or "thinking": break;
            case "message_field_training" when value is "training" or "train" or "loss" or "weight" or "masked": break;
            case "train_on_eos" when value is "turn": break;
            case "train_on_eot" when value is "turn": break;
            case "chat_template" when value.StartsWith("tokenizer_default", StringComparison.Ordinal): break;
            case "chat_template": NamedTemplate(draft, path, value); break;
            case "conversation": NamedTemplate(draft, path, value); break;
            case "drop_system_message" or "split_thinking" or "streaming" when ImportDraft.IsOff(value): break;
            default: draft.Change(path, value, "nothing here does this to the rows"); break;
        }
    }

    // Names under which axolotl or LLaMA-Factory write the same text as the template of ours.
    private static readonly Dictionary<string, string> SameText = new() { ["chatml"] = "chatml", ["llama3"] = "llama3", ["gemma"] = "gemma",
        ["gemma2"] = "gemma" };

    /// <summary>A template by its name in that tool: ours where it writes the same text, else the model's own.</summary>
    public static void NamedTemplate(ImportDraft draft, string key, string name)
    {
        if (SameText.TryGetValue(name, out var ours))
        {
            draft.Set(DataSettings.ChatTemplate, ours);
            return;
        }
        if (HasTemplate(draft) is false)
            draft.Change(key, name, "the model has no chat template of its own; write this one into a file and name it under chat_template");
        else if (HasTemplate(draft) is true) draft.Drop(key, name, "the model's own chat template is used; chat_template names a file with another");
        else
            draft.Miss($"{key}: {name} is a template of its own there, and the model's own chat template is used here; chat_template names a file with "
                + "another");
    }

    /// <summary>Whether the model's folder is here and has a chat template; null where it is not here.</summary>
    public static bool? HasTemplate(ImportDraft draft)
    {
        if (Folder(draft) is not { } folder) return null;
        return File.Exists(Path.Combine(folder, "chat_template.jinja")) || File.Exists(Path.Combine(folder, "chat_template.json"))
            || (File.Exists(Path.Combine(folder, "tokenizer_config.json"))
                && SmallFile.Text(Path.Combine(folder, "tokenizer_config.json")).Contains("\"chat_template\"", StringComparison.Ordinal));
    }

    /// <summary>Whether the model's tokenizer has this word for a special token; null where it is not here.</summary>
    public static bool? IsToken(ImportDraft draft, string name, string token)
    {
        if (Folder(draft) is not { } folder || !File.Exists(Path.Combine(folder, "tokenizer_config.json"))) return null;
        try
        {
            using var config = JsonDocument.Parse(SmallFile.Bytes(Path.Combine(folder, "tokenizer_config.json")));
            if (!config.RootElement.TryGetProperty(name, out var known)) return false;
            if (known.ValueKind == JsonValueKind.Object && known.TryGetProperty("content", out var content)) known = content;
            return known.ValueKind == JsonValueKind.String && known.GetString() == token;
        }
        catch (JsonException)
        {
            // Loading the model says what is wrong with it.
            return null;
        }
    }

    private static string? Folder(ImportDraft draft) =>
        (draft.Theirs("base_model") ?? draft.Theirs("model_name_or_path") ?? draft.Theirs("model_name") ?? draft.Theirs("checkpointer.checkpoint_dir")
            ?? draft.Theirs("model")) is { } name
            ? ModelReference.Find(name, needsWeights: false).Directory : null;
}
