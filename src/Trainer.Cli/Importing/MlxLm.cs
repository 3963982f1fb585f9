using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>mlx-lm's LoRA configuration (lora.py of 0.32).</summary>
internal static class MlxLm
{
    public static readonly Dialect Dialect = new("mlx-lm",
        ["iters", "train", "lora_parameters", "num_layers", "mask_prompt", "val_batches", "steps_per_report", "adapter_path", "fine_tune_type"],
        new Dictionary<string, KeyRule>
    {
        ["model"] = KeyRules.To(ModelSettings.Model),
        ["data"] = Schedules.Later,
        ["train"] = KeyRules.Only(["true"], "nothing is trained"),
        ["test"] = KeyRules.Drop("'trainer eval' reads the test rows"),
        ["test_batches"] = KeyRules.Drop("'trainer eval' reads the test rows"),
        ["val_batches"] = Schedules.Later,
        ["fine_tune_type"] = (draft, key, text, _) =>
        {
            if (text == "dora") draft.Set(AdapterSettings.UseDora, true);
            else if (text != "lora") draft.Change(key, text, "an adapter is what train makes");
        },
        ["optimizer"] = Schedules.Later,
        ["optimizer_config"] = Schedules.Later,
        ["lr_schedule"] = Schedules.Later,
        ["learning_rate"] = KeyRules.To(StepSettings.LearningRate),
        ["batch_size"] = KeyRules.To(StepSettings.BatchSize),
        ["grad_accumulation_steps"] = KeyRules.To(StepSettings.Accumulation),
        ["iters"] = Schedules.Later,
        ["steps_per_report"] = Schedules.Later,
        ["steps_per_eval"] = Schedules.Later,
        ["save_every"] = Schedules.Later,
        ["adapter_path"] = KeyRules.To(RunSettings.OutputDirectory),
        ["max_seq_length"] = KeyRules.To(DataSettings.MaxSeqLength),
        ["grad_checkpoint"] = Transformers.Keys["gradient_checkpointing"],
        ["seed"] = KeyRules.To(StepSettings.Seed),
        ["num_layers"] = (draft, key, text, _) =>
        {
            if (text == "-1") draft.Set(AdapterSettings.Layers, -1.0);
            else draft.Take(AdapterSettings.Layers, key, text);
        },
        ["mask_prompt"] = Schedules.Later,
        ["lora_parameters"] = Schedules.Later,
        ["resume_adapter_file"] = KeyRules.Stop("its adapter files are not PEFT's; an adapter folder goes under adapter"),
        ["clear_cache_threshold"] = KeyRules.Drop(KeyRules.Speed),
        ["hf_dataset"] = Schedules.Later,
        ["prompt_feature"] = Schedules.Later,
        ["completion_feature"] = Schedules.Later,
        ["text_feature"] = Schedules.Later,
        ["chat_feature"] = Schedules.Later,
        ["report_to"] = Transformers.Keys["report_to"],
    }, Finish)
    { IsAlone = true };

    private static void Finish(ImportDraft draft)
    {
        Data(draft);
        Adapter(draft);
        Steps(draft);
        Optimizer(draft);
        Schedule(draft);
        // A model folder of mlx-lm with "4bit" in its name is what it calls QLoRA.
        if (draft[ModelSettings.Model]?.ToString()?.Contains("bit", StringComparison.OrdinalIgnoreCase) ?? false) draft.Default(ModelSettings.Quantize, "nf4");
        draft.Default(StepSettings.BatchSize, 4.0);
        // A number of batches there; -1 is all of them.
        if (!ImportDraft.TryNumber(draft.Theirs("val_batches") ?? "25", out var batches))
            draft.Change("val_batches", draft.Theirs("val_batches")!, "it is not a number");
        else if (batches > 0) draft.Default(DataSettings.MaxEvalSamples, batches * (draft.Number(StepSettings.BatchSize) ?? 4));
        draft.Default(StepSettings.Accumulation, 1.0);
        draft.Default(StepSettings.LearningRate, 1e-5);
        draft.Default(StepSettings.Scheduler, "constant");
        draft.Default(StepSettings.Warmup, 0.0);
        draft.Default(StepSettings.MaxGradNorm, 0.0);
        draft.Default(DataSettings.OnTooLong, "truncate");
        draft.Default(StepSettings.Seed, 0.0);
        draft.Default(ModelSettings.Quantize, "none");
    }

    // It counts micro-batches; trainer counts steps.
    private static void Steps(ImportDraft draft)
    {
        var accumulated = draft.Number(StepSettings.Accumulation) ?? 1;
        void Count(Setting setting, string key, double whereSilent)
        {
            if (draft.Theirs(key) is { } text) draft.Take(setting, key, text);
            else draft.Default(setting, whereSilent);
            if (accumulated > 1 && draft.Number(setting) is { } count) draft.Set(setting, Math.Max(1, Math.Floor(count / accumulated)));
        }
        Count(StepSettings.MaxSteps, "iters", 1000);
        Count(RunSettings.LoggingSteps, "steps_per_report", 10);
        Count(RunSettings.EvalSteps, "steps_per_eval", 200);
        Count(RunSettings.SaveSteps, "save_every", 100);
    }

    // Its columns by name, and what mask_prompt comes to for the kind of row.
    private static void Data(ImportDraft draft)
    {
        var columns = new Dictionary<string, object>();
        foreach (var (key, ours) in new[] { ("prompt_feature", "prompt"), ("completion_feature", "completion"), ("text_feature", "text"),
            ("chat_feature", "messages") })
            if (draft.Theirs(key) is { } name && name != ours) columns[ours] = name;
        var kind = Kind(draft);
        // It makes a turn of each of the two and renders them by the chat template: what an instruction and its output are here.
        if (kind == "prompt") AsTurns(columns);
        if (draft.Theirs("data") is { } path)
            draft.Set(DataSettings.Data, new List<object> { columns.Count == 0
                ? path : new Dictionary<string, object> { ["path"] = path, ["columns"] = columns } });
        HubData(draft, columns);
        var masked = ImportDraft.Truth(draft.Theirs("mask_prompt") ?? "false") is true;
        if (!masked) draft.Default(DataSettings.TrainOn, "all");
        else draft.Set(DataSettings.TrainOn, kind == "messages" ? "last" : "auto");
        if (kind is null && masked)
            draft.Miss("mask_prompt trains the last message of a chat there: set train_on: last if the rows are chats");
    }

    private static void AsTurns(Dictionary<string, object> columns)
    {
        foreach (var (ours, theirs) in new[] { ("instruction", "prompt"), ("output", "completion") })
            columns[ours] = columns.Remove(theirs, out var name) ? name : theirs;
    }

    private static void HubData(ImportDraft draft, Dictionary<string, object> columns)
    {
        var (train, valid) = (new List<object>(), new List<object>());
        var parts = draft.Node("hf_dataset") is YamlSequenceNode list ? list.Children : draft.Node("hf_dataset") is { } only ? [only] : [];
        foreach (var node in parts)
        {
            var fields = ImportDraft.Pairs(node).ToDictionary(pair => pair.Key.ToString(), pair => ImportDraft.Flat(pair.Value));
            string? Take(string name) => fields.Remove(name, out var value) && !ImportDraft.IsNothing(value) ? value : null;
            if ((Take("path") ?? Take("name")) is not { } path) continue;
            var own = new Dictionary<string, object>(columns);
            foreach (var (key, ours) in new[] { ("prompt_feature", "prompt"), ("completion_feature", "completion"), ("text_feature", "text"),
                ("chat_feature", "messages") })
                if (Take(key) is { } name && name != ours) own[ours] = name;
            if (own.ContainsKey("prompt") || own.ContainsKey("completion")) AsTurns(own);
            var (split, held) = (Take("train_split") ?? "train[:80%]", Take("valid_split") ?? "train[-10%:]");
            if (Take("test_split") is { } test) draft.Drop("hf_dataset.test_split", test, "'trainer eval' reads the test rows");
            train.Add(ImportedData.Source(draft, "hf_dataset.train_split", path, split, null, own));
            valid.Add(ImportedData.Source(draft, "hf_dataset.valid_split", path, held, null, own));
            foreach (var (name, value) in fields) draft.Change("hf_dataset." + name, value, "nothing here does this to the rows");
        }
        if (train.Count > 0) draft.Set(DataSettings.Data, train);
        if (valid.Count > 0) draft.Set(DataSettings.EvalData, valid);
    }

    /// <summary>What the first row holds: prompt, messages or text, in its order; null where no row is here.</summary>
    private static string? Kind(ImportDraft draft)
    {
        if (draft.Theirs("data") is not { } path) return null;
        var file = Directory.Exists(path) ? Path.Combine(path, "train.jsonl") : path;
        if (!File.Exists(file) || SmallFile.Lines(file).FirstOrDefault() is not { } line) return null;
        try
        {
            using var row = JsonDocument.Parse(line);
            bool Has(string key, string name) => row.RootElement.ValueKind == JsonValueKind.Object
                && row.RootElement.TryGetProperty(draft.Theirs(key) ?? name, out _);
            if (Has("prompt_feature", "prompt") && Has("completion_feature", "completion")) return "prompt";
            return Has("chat_feature", "messages") ? "messages" : Has("text_feature", "text") ? "text" : null;
        }
        catch (JsonException)
        {
            // Reading the data says what is wrong with it.
            return null;
        }
    }

    private static void Adapter(ImportDraft draft)
    {
        string? scale = null;
        foreach (var (name, value) in ImportDraft.Pairs(draft.Node("lora_parameters")))
        {
            var (key, text) = ("lora_parameters." + name, ImportDraft.Flat(value));
            switch (name.ToString())
            {
                case "rank": draft.Take(AdapterSettings.Rank, key, text); break;
                case "alpha": draft.Take(AdapterSettings.Alpha, key, text); break;
                case "scale": scale = text; break;
                case "dropout": draft.Take(AdapterSettings.Dropout, key, text); break;
                case "keys": draft.Set(AdapterSettings.TargetModules, ImportDraft.Words(text)); break;
                default: draft.Change(key, text, "an adapter has no such parameter here"); break;
            }
        }
        draft.Default(AdapterSettings.Rank, 8.0);
        // It multiplies by `scale`, 20 where nothing is said; everyone else by alpha / rank.
        var rank = draft.Number(AdapterSettings.Rank) ?? 8;
        if (scale is null) draft.Default(AdapterSettings.Alpha, 20 * rank);
        else if (ImportDraft.TryNumber(scale, out var factor)) draft.Set(AdapterSettings.Alpha, factor * rank);
        else draft.Change("lora_parameters.scale", scale, "it is not a number");
        if (draft.Number(AdapterSettings.Layers) is -1) draft.Remove(AdapterSettings.Layers);
        else draft.Default(AdapterSettings.Layers, 16.0);
    }

    private static void Optimizer(ImportDraft draft)
    {
        var name = draft.Theirs("optimizer") ?? "adam";
        // Its Adam has no weight decay, its AdamW one of 0.01.
        if (name == "adamw") draft.Default(StepSettings.WeightDecay, 0.01);
        else if (name != "adam" && StepSettings.Optim.Choices.Contains(name)) draft.Set(StepSettings.Optim, name);
        else if (name != "adam") draft.Change("optimizer", name, $"optim is one of {string.Join(", ", StepSettings.Optim.Choices)} here");
        var own = ImportDraft.Pairs(draft.Node("optimizer_config")).FirstOrDefault(pair => pair.Key.ToString() == name).Value;
        foreach (var (argument, value) in ImportDraft.Pairs(own))
        {
            var (key, text) = ($"optimizer_config.{name}.{argument}", ImportDraft.Flat(value));
            switch (argument.ToString())
            {
                case "weight_decay": draft.Take(StepSettings.WeightDecay, key, text); break;
                case "eps": draft.Take(StepSettings.Epsilon, key, text); break;
                case "bias_correction": draft.Drop(key, text, "moments are always corrected for their bias"); break;
                case "betas" when Schedules.Betas(draft, key, text): break;
                default: draft.Change(key, text, "the optimizer takes no such argument here"); break;
            }
        }
    }

    // {name: cosine_decay, warmup: 100, warmup_init: 0, arguments: [peak, steps, end]}; linear_schedule has [peak, end, steps].
    private static void Schedule(ImportDraft draft)
    {
        if (draft.Node("lr_schedule") is not YamlMappingNode schedule) return;
        var fields = schedule.Children.ToDictionary(pair => pair.Key.ToString(), pair => ImportDraft.Flat(pair.Value));
        var name = fields.GetValueOrDefault("name", "");
        var numbers = ImportDraft.Words(fields.GetValueOrDefault("arguments", ""))
            .Select(word => ImportDraft.TryNumber(word.ToString()!, out var number) ? number : double.NaN).ToList();
        var warmup = ImportDraft.TryNumber(fields.GetValueOrDefault("warmup", "0"), out var given) ? given : 0;
        if (!ImportDraft.IsOff(fields.GetValueOrDefault("warmup_init", "0")))
            draft.Change("lr_schedule.warmup_init", fields["warmup_init"], "warm-up begins at 0");
        var (steps, end) = name switch
        {
            "cosine_decay" when numbers.Count >= 2 => (numbers[1], numbers.Count > 2 ? numbers[2] : 0),
            "linear_schedule" when numbers.Count >= 3 => (numbers[2], numbers[1]),
            _ => (double.NaN, double.NaN),
        };
        var left = (draft.Number(StepSettings.MaxSteps) ?? 0) - warmup;
        if (double.IsNaN(steps) || double.IsNaN(end))
            draft.Change("lr_schedule", ImportDraft.Flat(schedule),
                $"schedules here are {string.Join(", ", StepSettings.Scheduler.Choices)}; its arguments must be numbers");
        else if (steps != left && steps != left + warmup)
            draft.Change("lr_schedule.arguments", fields["arguments"],
                $"the schedule ends with the run here, {left} steps after warm-up, and not after {steps}");
        else
        {
            draft.Set(StepSettings.Scheduler, name == "cosine_decay" ? "cosine" : "linear");
            draft.Set(StepSettings.LearningRate, numbers[0]);
            draft.Set(StepSettings.MinLr, end);
            draft.Set(StepSettings.Warmup, warmup);
            if (steps != left)
                draft.Drop("lr_schedule.arguments", fields["arguments"], "the schedule ends with the run here, after warm-up and decay together");
        }
    }
}
