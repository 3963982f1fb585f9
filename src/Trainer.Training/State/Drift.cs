using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Training;

/// <summary>Names every difference between what a run was started with and what it would be resumed with.</summary>
internal static class Drift
{
    // What may change without changing what is computed, and what has a rule of its own (steps, resume).
    private static readonly HashSet<string> Free = new(StringComparer.Ordinal)
    {
        "model", "model_directory", "output_directory", "max_steps", "epochs", "max_time", "logging_steps", "save_steps", "save_total_limit",
        "resume", "allow_drift", "overwrite_output_directory", "allow_high_loss", "max_memory_bytes", "sample_prompts", "adapter_directory",
        "data.cache_directory", "data.chat_template_file",
    };

    // What changes no mathematics but may change the last bit: told, not refused.
    private static readonly HashSet<string> LastBit = new(StringComparer.Ordinal) { "threads", "device", "stream", "gradient_checkpointing" };

    /// <summary>The differences between two runs.</summary>
    /// <returns>Sentences to refuse with, and sentences to warn with.</returns>
    public static (List<string> Refused, List<string> Warned) Between(TrainingOptions then, Fingerprint? filesThen, TrainingOptions now, Fingerprint filesNow)
    {
        var refused = new List<string>();
        var warned = new List<string>();
        var before = Flatten(then);
        var after = Flatten(now);
        foreach (var name in before.Keys.Union(after.Keys).Order(StringComparer.Ordinal))
        {
            var (old, current) = (before.GetValueOrDefault(name, "unset"), after.GetValueOrDefault(name, "unset"));
            if (old == current || Free.Contains(name)) continue;
            (LastBit.Contains(name) ? warned : refused).Add($"{OptionName(name)} was {old} and is {current}");
        }
        if (filesThen is null) return (refused, warned);
        Compare("base", filesThen.Base, filesNow.Base, refused);
        Compare("tokenizer", filesThen.Tokenizer, filesNow.Tokenizer, refused);
        Compare("chat template", filesThen.Template, filesNow.Template, refused);
        CompareData(filesThen.Data, filesNow.Data, refused);
        Compare("adapter", filesThen.Adapter, filesNow.Adapter, refused);
        return (refused, warned);
    }

    private static void Compare(string what, IReadOnlyDictionary<string, string> then, IReadOnlyDictionary<string, string> now, List<string> refused)
    {
        foreach (var name in then.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            var (old, current) = (then.GetValueOrDefault(name), now.GetValueOrDefault(name));
            if (old == current) continue;
            refused.Add(old is null ? $"the {what} has a new file '{name}'" : current is null ? $"the {what} has lost its file '{name}'" : $"the {what}'s file '{name}' has changed");
        }
    }

    // Data may lie elsewhere on another machine: the same contents in the same order are the same data.
    private static void CompareData(IReadOnlyDictionary<string, string> then, IReadOnlyDictionary<string, string> now, List<string> refused)
    {
        if (then.Values.SequenceEqual(now.Values)) return;
        Compare("data", then, now, refused);
    }

    private static SortedDictionary<string, string> Flatten(TrainingOptions options)
    {
        var flat = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Walk("", JsonSerializer.SerializeToNode(options, RunJson.Options), flat);
        return flat;
    }

    private static void Walk(string path, JsonNode? node, SortedDictionary<string, string> flat)
    {
        if (node is JsonObject map && path is "" or "data" or "lora")
        {
            foreach (var (key, value) in (JsonObject)node!) Walk(path.Length == 0 ? key : $"{path}.{key}", value, flat);
            return;
        }
        if (node is JsonArray sources && path is "data.train" or "data.eval")
        {
            // Where a source lies may change; its share and its columns decide what is trained. The contents are compared by their hashes.
            foreach (var source in ((JsonArray)node!).OfType<JsonObject>()) source.Remove("path");
        }
        if (node is not null) flat[path] = node.ToJsonString(RunJson.Line).Trim('"');
    }

    private static string OptionName(string path) => path switch
    {
        "lora.rank" or "lora.alpha" or "lora.dropout" or "lora.layers" => "--" + path.Replace('.', '-'),
        "lora.lora_plus_ratio" => "--loraplus-ratio",
        "lora.init" => "--init-lora",
        "compute" => "--dtype",
        "data.train" => "--data (shares and columns)",
        "data.eval" => "--eval-data (columns)",
        _ => "--" + path[(path.IndexOf('.', StringComparison.Ordinal) + 1)..].Replace('_', '-'),
    };
}
