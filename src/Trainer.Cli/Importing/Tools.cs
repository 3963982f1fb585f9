using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>Tells which tool a configuration was written for.</summary>
internal static class Tools
{
    private const string Readable = "import reads axolotl, LLaMA-Factory, mlx-lm, torchtune, TRL and Unsloth";

    /// <summary>The dialect of a file.</summary>
    /// <exception cref="UsageException">It is of a tool that is not read, or of none.</exception>
    public static Dialect Detect(YamlMappingNode root)
    {
        var keys = root.Children.Keys.Select(key => key.ToString()).ToHashSet();
        if (Nested(root, keys) is { } nested) return nested;
        if (Stranger(keys) is { } stranger) throw new UsageException($"this is a configuration of {stranger}; {Readable}");
        // Tools share many keys: the one that knows the most of a file, and of two such the one that more of them give away.
        var found = Dialect.All.Where(dialect => dialect.Marks.Any(keys.Contains))
            .OrderByDescending(dialect => keys.Count(key => dialect.RuleOf(key) is not null)).ThenByDescending(dialect => dialect.Marks.Count(keys.Contains))
            .FirstOrDefault();
        if (found is not null) return found;
        throw new UsageException($"this is no configuration that can be told apart: {Readable}; say which with --from");
    }

    /// <summary>What a file seems to be that is no recipe of ours, in words, or null.</summary>
    public static string? NameOf(YamlMappingNode root)
    {
        var keys = root.Children.Keys.Select(key => key.ToString()).ToHashSet();
        if (Nested(root, keys) is { } nested) return nested.Name;
        if (Stranger(keys) is { } stranger) return stranger;
        var ours = TrainSettings.Recipe.SelectMany(setting => setting.AllNames).Select(name => name.Replace('-', '_')).ToHashSet();
        // Names that trainer takes too tell nothing.
        var best = Dialect.All.Select(dialect => (dialect.Name, score: dialect.Marks.Count(mark => keys.Contains(mark) && !ours.Contains(mark))))
            .MaxBy(pair => pair.score);
        return best.score > 0 ? best.Name : null;
    }

    // Tools whose keys are nested: the shape gives them away.
    private static Dialect? Nested(YamlMappingNode root, HashSet<string> keys)
    {
        if (Holds(root, "_component_", 8)) return Torchtune.Dialect;
        if (keys.Contains("train_dataset") && (keys.Contains("dist_config") || keys.Contains("peft_config") || keys.Contains("kernel_config")
            || keys.Contains("model_class") || keys.Contains("sample_backend"))) return LlamaFactoryV1.Dialect;
        if (keys.Contains("model") && (keys.Contains("kernel_config") || ImportDraft.Node(root, "peft_config.name") is not null)) return LlamaFactoryV1.Dialect;
        return null;
    }

    private static string? Stranger(HashSet<string> keys)
    {
        if (keys.Contains("checkpoint_dir") && (keys.Contains("lora_r") || keys.Contains("train") || keys.Contains("precision"))) return "litgpt";
        if (keys.Contains("compute_environment") || keys.Contains("distributed_type")) return "accelerate, which says where to run and not what";
        if (keys.Contains("zero_optimization")) return "DeepSpeed, which says where to run and not what";
        return null;
    }

    private static bool Holds(YamlNode node, string key, int depth) => depth > 0 && node switch
    {
        YamlMappingNode map => map.Children.Any(pair => pair.Key.ToString() == key || Holds(pair.Value, key, depth - 1)),
        YamlSequenceNode list => list.Children.Any(child => Holds(child, key, depth - 1)),
        _ => false,
    };
}
