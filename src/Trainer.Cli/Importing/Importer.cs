using System.Globalization;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Training.Optimizers;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>Reads a configuration of axolotl, LLaMA-Factory, mlx-lm or TRL as a recipe; nothing is dropped without a word.</summary>
internal sealed class Importer
{
    private readonly Dictionary<string, object> _entries = [];
    private readonly HashSet<string> _defaults = [];
    private readonly List<(string, string, string)> _dropped = [];
    private readonly List<string> _missing = [];
    private readonly Dialect _dialect;

    private Importer(Dialect dialect) => _dialect = dialect;

    public static Dialect Detect(YamlMappingNode root)
    {
        var keys = root.Children.Keys.Select(key => key.ToString()).ToHashSet();
        var best = Dialect.All.MaxBy(dialect => dialect.Marks.Count(keys.Contains))!;
        return best.Marks.Any(keys.Contains) ? best : throw new UsageException("this is no configuration of axolotl, llama-factory, mlx-lm or trl that can be told apart; say which with --from");
    }

    public static ImportResult Import(YamlMappingNode root, Dialect dialect)
    {
        var importer = new Importer(dialect);
        foreach (var (key, node) in root.Children) importer.Take(key.ToString(), node);
        importer.Finish();
        var order = TrainSettings.Recipe.Select((setting, at) => (setting.Key, at)).ToDictionary(pair => pair.Key, pair => pair.at);
        return new ImportResult(dialect.Name, [.. importer._entries.OrderBy(entry => order.GetValueOrDefault(entry.Key, int.MaxValue))], importer._defaults, importer._dropped, importer._missing);
    }

    private void Take(string key, YamlNode node)
    {
        var text = Flat(node);
        if (text.Length == 0 || text is "null" or "~") return;
        if (!_dialect.Keys.TryGetValue(key, out var ours))
        {
            Drop(key, text, _dialect.Reasons.GetValueOrDefault(key, "no counterpart"));
            return;
        }
        var isOn = text.ToLowerInvariant() is "true" or "yes" or "on" or "1" or "auto";
        switch (ours)
        {
            case "no_counterpart": Drop(key, text, "no counterpart"); break;
            case "per_epoch": Drop(key, text, "counted in steps here: set eval_steps and save_steps"); break;
            case "optim":
                if (OptimizerTable.Names.Contains(text)) Set(ours, text);
                else if (!text.Contains("adam", StringComparison.OrdinalIgnoreCase)) Drop(key, text, $"AdamW is used; --optim has {string.Join(", ", OptimizerTable.Names)}");
                else if (text.Contains("8bit", StringComparison.OrdinalIgnoreCase)) Drop(key, text, "AdamW with 32-bit states is used; an adapter's are small");
                break;
            case "bf16": if (isOn && text != "auto") Set("dtype", "bfloat16"); break;
            case "fp16": if (isOn) Drop(key, text, "float16 overflows without loss scaling; auto or bfloat16 is used"); break;
            case "load_in_4bit": if (isOn) Set("quantize", "nf4"); break;
            case "load_in_8bit": if (isOn) Set("quantize", "int8"); break;
            case "bits": Set("quantize", text switch { "4" => "nf4", "8" => "int8", _ => "none" }); break;
            case "method": Set("quantize", text == "qlora" ? "nf4" : "none"); break;
            case "target_linear": if (isOn) Set("target_modules", "all-linear"); break;
            case "train_on_inputs": if (isOn) Set("train_on", "all"); break;
            case "mask_prompt": Set("train_on", isOn ? "auto" : "all"); break;
            case "mask_history": if (isOn) Set("train_on", "last"); break;
            case "assistant_only": if (isOn) Set("train_on", "assistant"); break;
            case "completion_only": Set("train_on", isOn ? "completion" : "all"); break;
            case "eval_strategy": if (text == "no") Drop(key, text, "held-out rows, where there are any, are evaluated at start and end"); break;
            case "gradient_checkpointing": Set(ours, isOn || text == "unsloth" ? "on" : "none"); break;
            case "lr_scheduler": Scheduler(key, text); break;
            case "min_lr_ratio": _entries["min_lr_ratio"] = text; break;
            case "num_layers": Set("lora_layers", text); break;
            case "data": _entries["data"] = node is YamlSequenceNode ? Words(text) : [text]; break;
            case "datasets": Datasets(key, node, "data"); break;
            case "eval_datasets": Datasets(key, node, "eval_data"); break;
            case "dataset_names": Drop(key, text, "names in dataset_info.json"); if (key == "dataset") foreach (var name in Words(text)) _missing.Add($"'{name}' is a name in LLaMA-Factory's dataset_info.json; name the file it stands for under data"); break;
            case "lora_parameters": LoraParameters(node); break;
            case "report_to": if (text is "none" or "tensorboard" or "all") Set(ours, text); else Drop(key, text, "a logging service; metrics.jsonl and TensorBoard files are written here"); break;
            case "max_steps" when text is "-1" or "0": break;
            case "warmup_steps" when text is "0" && _entries.ContainsKey("warmup_steps"): break;
            case "dtype": if (text is "bfloat16" or "float32" or "auto") Set(ours, text); else Drop(key, text, "computed in float32 or bfloat16"); break;
            case "target_modules": Set(ours, text.StartsWith("all", StringComparison.Ordinal) ? "all-linear" : node is YamlSequenceNode || text.Contains(',') ? Words(text) : text); break;
            case "on_too_long": Set(ours, text == "raise" ? "error" : text); break;
            case "modules_to_save": Set(ours, Words(text)); break;
            case "save_steps" when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var share) && share is > 0 and < 1: Drop(key, text, "counted in steps here"); break;
            default: Set(ours, text); break;
        }
    }

    private void Finish()
    {
        if (_entries.Remove("min_lr_ratio", out var ratio) && _entries.TryGetValue("learning_rate", out var peak) && Parse(ratio) is { } share && Parse(peak) is { } rate) Set("min_lr", Quantities.Plain(share * rate));
        if (_entries.ContainsKey("max_steps") && _entries.Remove("epochs", out var epochs)) Drop("epochs", epochs.ToString()!, "max_steps says how long to train");
        // A model folder of mlx-lm with "4bit" in its name is what it calls QLoRA.
        if (_dialect.Name == "mlx-lm" && (_entries.GetValueOrDefault("model")?.ToString()?.Contains("bit", StringComparison.OrdinalIgnoreCase) ?? false)) _entries.TryAdd("quantize", "nf4");
        foreach (var (key, value) in ToolDefaults.Of(_dialect.Name)) AddDefault(key, value);
        // mlx-lm multiplies by 20 where nothing is said, whatever the rank.
        if (_dialect.Name == "mlx-lm" && !IsContinued) AddDefault("lora_alpha", 20 * (Parse(_entries["lora_rank"]) ?? 8));
        if (_entries["quantize"].ToString() != "nf4") Remove("double_quant");
        // All layers, said as mlx-lm says it.
        if (_entries.GetValueOrDefault("lora_layers") is -1.0) Remove("lora_layers");
        FindMissing();
    }

    private bool IsContinued => _entries.ContainsKey("adapter");

    private void AddDefault(string key, object value)
    {
        if (key is "epochs" && _entries.ContainsKey("max_steps")) return;
        if (IsContinued && (key is "target_modules" or "lora_layers" || key.StartsWith("lora_", StringComparison.Ordinal) && key != "lora_dropout")) return;
        if (_entries.TryAdd(key, value)) _defaults.Add(key);
    }

    private void Remove(string key)
    {
        _entries.Remove(key);
        _defaults.Remove(key);
    }

    /// <summary>A recipe that cannot run must not look as if it could.</summary>
    private void FindMissing()
    {
        if (!_entries.ContainsKey("model")) _missing.Add("no model is named; add model: DIR");
        foreach (var key in new[] { "data", "eval_data" })
        {
            if (_entries.GetValueOrDefault(key) is not IEnumerable<object> sources) continue;
            var names = sources.Select(source => source.ToString()!).ToList();
            var hub = names.Where(DataNames.IsHubName).ToList();
            foreach (var name in hub) _missing.Add($"'{name}' is no file or folder here, and train reads local files; {DataNames.HowToGet(name)} under {key}");
            foreach (var name in names.Except(hub).Where(name => !DataNames.IsHere(name))) _missing.Add($"there is no '{name}' here; name the file where it lies under {key}");
            if (hub.Count == names.Count) _entries.Remove(key);
            else _entries[key] = names.Except(hub).Cast<object>().ToList();
        }
        if (!_entries.ContainsKey("data") && !_missing.Any(fault => fault.Contains("data", StringComparison.Ordinal))) _missing.Add("no data is named; add data: FILE.jsonl");
    }

    private void Scheduler(string key, string text)
    {
        var word = text.ToLowerInvariant();
        if (word.StartsWith("cosine", StringComparison.Ordinal)) Set("lr_scheduler", "cosine");
        else if (word.StartsWith("linear", StringComparison.Ordinal)) Set("lr_scheduler", "linear");
        else if (word.StartsWith("constant", StringComparison.Ordinal)) Set("lr_scheduler", "constant");
        else if (word.StartsWith("warmup_stable_decay", StringComparison.Ordinal)) Set("lr_scheduler", "wsd");
        else Drop(key, text, "schedules here are cosine, linear, constant and wsd");
    }

    private void Datasets(string key, YamlNode node, string ours)
    {
        var files = new List<object>();
        foreach (var entry in node is YamlSequenceNode list ? list.Children : [node])
        {
            if (entry is not YamlMappingNode map) continue;
            foreach (var (name, value) in map.Children)
            {
                if (name.ToString() == "path") files.Add(value.ToString());
                else if (name.ToString() is not ("ds_type" or "data_files")) Drop($"{key}.{name}", Flat(value), "the kind of row is seen from its columns");
            }
        }
        if (files.Count > 0) _entries[ours] = files;
    }

    private void LoraParameters(YamlNode node)
    {
        if (node is not YamlMappingNode map) return;
        string? rank = null, scale = null;
        foreach (var (name, value) in map.Children)
        {
            switch (name.ToString())
            {
                case "rank": Set("lora_rank", rank = value.ToString()); break;
                case "alpha": Set("lora_alpha", value.ToString()); break;
                case "scale": scale = value.ToString(); break;
                case "dropout": Set("lora_dropout", value.ToString()); break;
                case "keys": Set("target_modules", Words(Flat(value))); break;
                default: Drop("lora_parameters." + name, Flat(value), "no counterpart"); break;
            }
        }
        // mlx-lm multiplies by `scale`; everyone else by alpha / rank.
        if (scale is not null && Parse(scale) is { } factor) Set("lora_alpha", Quantities.Plain(factor * (Parse(rank ?? "8") ?? 8)));
    }

    private void Set(string key, object value) => _entries[key] = value is "True" or "true" ? true : value is "False" or "false" ? false : value is string text && Parse(text) is { } number ? number : value;

    private void Drop(string key, string value, string reason) => _dropped.Add((key, value, reason));

    private static List<object> Words(string text) => [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];

    private static double? Parse(object text) => double.TryParse(text.ToString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string Flat(YamlNode node) => node switch
    {
        YamlScalarNode scalar => scalar.Value ?? "",
        YamlSequenceNode list => string.Join(", ", list.Children.Select(Flat)),
        YamlMappingNode map => string.Join(", ", map.Children.Select(pair => $"{pair.Key}={Flat(pair.Value)}")),
        _ => node.ToString(),
    };
}
