using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>Schedule and optimizer of configurations that end in transformers' TrainingArguments.</summary>
internal static class Schedules
{
    /// <summary>Read at the end, when learning rate and steps are known.</summary>
    public static readonly KeyRule Later = static (_, _, _, _) => { };

    /// <summary>AdamW by all its names, and what --optim takes; states of 8 or 4 bits are a way to hold the same optimizer.</summary>
    public static readonly KeyRule Optimizer = static (draft, key, text, _) =>
    {
        var name = text.ToLowerInvariant().Replace('-', '_');
        var plain = name.Replace("paged_", "", StringComparison.Ordinal).Replace("_bnb", "", StringComparison.Ordinal);
        foreach (var ending in new[] { "_8bit", "_4bit", "_32bit", "_fp8" }) plain = plain.Replace(ending, "", StringComparison.Ordinal);
        plain = plain.StartsWith("adamw", StringComparison.Ordinal)
            ? "adamw" : plain.Replace('_', '-').Replace("schedulefree-", "schedule-free-", StringComparison.Ordinal);
        var narrow = name.Contains("4bit", StringComparison.Ordinal) || name.Contains("fp8", StringComparison.Ordinal);
        if (plain == "adamw" && (narrow || name.Contains("8bit", StringComparison.Ordinal))) plain = "adamw-8bit";
        if (!StepSettings.Optim.Choices.Contains(plain))
        {
            draft.Change(key, text, $"optim is one of {string.Join(", ", StepSettings.Optim.Choices)} here");
            return;
        }
        draft.Set(StepSettings.Optim, plain);
        if (narrow && plain == "adamw-8bit") draft.Drop(key, text, "adamw-8bit takes its place; an adapter's states are small");
        else if (plain != "adamw-8bit" && (narrow || name.Contains("8bit", StringComparison.Ordinal)))
            draft.Drop(key, text, $"{plain} with 32-bit states takes its place; an adapter's states are small");
    };

    /// <summary>Two rates of decay in one key, as a list or a tuple; whether they are two.</summary>
    public static bool Betas(ImportDraft draft, string key, string text)
    {
        if (ImportDraft.Words(text.Trim('(', ')', '[', ']')) is not [string first, string second]) return false;
        draft.Take(StepSettings.Beta1, key, first);
        draft.Take(StepSettings.Beta2, key, second);
        return true;
    }

    /// <summary>What an optimizer alone reads, as transformers writes it (<c>a=1, b=2</c>) or as a mapping; what every optimizer has goes to its own
    /// setting.</summary>
    public static readonly KeyRule OptimizerArguments = static (draft, key, text, node) =>
    {
        var pairs = node is YamlMappingNode map ? map.Children.ToDictionary(pair => pair.Key.ToString(), pair => ImportDraft.Flat(pair.Value))
            : text.Split(',').Select(part => part.Split('=', 2)).Where(part => part.Length == 2).ToDictionary(part => part[0].Trim(), part => part[1].Trim());
        var left = new Dictionary<string, object>();
        foreach (var (name, value) in pairs)
        {
            switch (name)
            {
                case "betas" when Betas(draft, $"{key}.{name}", value): break;
                case "beta1" or "adam_beta1": draft.Take(StepSettings.Beta1, $"{key}.{name}", value); break;
                case "beta2" or "adam_beta2": draft.Take(StepSettings.Beta2, $"{key}.{name}", value); break;
                case "eps" when (draft.Theirs("optim") ?? draft.Theirs("optimizer")) is "adagrad" or "rmsprop" or "rmsprop_bnb": left[name] = value; break;
                case "eps" or "adam_epsilon": draft.Take(StepSettings.Epsilon, $"{key}.{name}", value); break;
                case "weight_decay": draft.Take(StepSettings.WeightDecay, $"{key}.{name}", value); break;
                default: left[name] = value; break;
            }
        }
        if (pairs.Count == 0) draft.Change(key, text, "it is no list of name=value");
        if (left.Count > 0) draft.Set(StepSettings.OptimArgs, left);
    };

    public static readonly KeyRule HalfPrecision = static (draft, key, text, _) =>
    {
        if (ImportDraft.Truth(text) is true) draft.Drop(key, text, "float16 overflows without loss scaling; auto or bfloat16 is used");
    };

    public static readonly KeyRule BFloat16 = static (draft, _, text, _) =>
    {
        if (ImportDraft.Truth(text) is true) draft.Set(ModelSettings.Dtype, "bfloat16");
    };

    public static readonly KeyRule Type = static (draft, key, text, node) =>
    {
        var word = text.Replace("torch.", "", StringComparison.Ordinal);
        if (word is "bfloat16" or "float32" or "auto") draft.Set(ModelSettings.Dtype, word);
        else HalfPrecision(draft, key, word.Contains("float16", StringComparison.Ordinal) ? "true" : word, node);
    };

    /// <summary>Warm-up and schedule as transformers has them.</summary>
    /// <param name="draft">The recipe so far.</param>
    /// <param name="key">Key of the schedule's name.</param>
    public static void Finish(ImportDraft draft, string key)
    {
        var text = draft.Theirs(key);
        var name = text?.ToLowerInvariant();
        Warmup(draft, name);
        var arguments = draft.Node("lr_scheduler_kwargs") as YamlMappingNode;
        var left = arguments?.Children.ToDictionary(pair => pair.Key.ToString(), pair => ImportDraft.Flat(pair.Value)) ?? [];
        switch (name)
        {
            case null: break;
            case "constant" or "constant_with_warmup": draft.Set(StepSettings.Scheduler, "constant"); break;
            case "cosine_with_min_lr": MinimumRate(draft, left); break;
            case var other when StepSettings.Scheduler.Choices.Contains(other.Replace('_', '-')):
                draft.Set(StepSettings.Scheduler, other.Replace('_', '-'));
                if (left.Count > 0) draft.Set(StepSettings.SchedulerArgs, left.ToDictionary(pair => pair.Key, object (pair) => pair.Value));
                return;
            default:
                draft.Change(key, text!, $"schedules here are {string.Join(", ", StepSettings.Scheduler.Choices)}");
                return;
        }
        foreach (var (argument, value) in left)
            draft.Change("lr_scheduler_kwargs." + argument, value, $"the {name ?? "default"} schedule here takes no such argument");
    }

    // transformers: steps win over the ratio; `constant` has no warm-up, whatever is said.
    private static void Warmup(ImportDraft draft, string? schedule)
    {
        var (steps, ratio) = (draft.Theirs("warmup_steps"), draft.Theirs("warmup_ratio"));
        if (schedule == "constant")
        {
            foreach (var (key, value) in new[] { ("warmup_steps", steps), ("warmup_ratio", ratio) })
                if (value is not null && !ImportDraft.IsOff(value)) draft.Drop(key, value, "the constant schedule has no warm-up there");
            draft.Set(StepSettings.Warmup, 0.0);
        }
        else if (steps is not null && (ratio is null || !ImportDraft.IsOff(steps)))
        {
            draft.Take(StepSettings.Warmup, "warmup_steps", steps);
            if (ratio is not null && !ImportDraft.IsOff(ratio)) draft.Drop("warmup_ratio", ratio, "warmup_steps wins over it");
        }
        else if (ratio is not null)
        {
            // A number below 1 is a share in either option; 1 is one only here.
            draft.Take(ImportDraft.TryNumber(ratio, out var share) && share < 1 ? StepSettings.Warmup : StepSettings.WarmupRatio, "warmup_ratio", ratio);
        }
    }

    private static void MinimumRate(ImportDraft draft, Dictionary<string, string> arguments)
    {
        draft.Set(StepSettings.Scheduler, "cosine");
        if (arguments.Remove("min_lr", out var least)) draft.Take(StepSettings.MinLr, "lr_scheduler_kwargs.min_lr", least);
        else if (arguments.Remove("min_lr_rate", out var rate)) Share(draft, "lr_scheduler_kwargs.min_lr_rate", rate);
        else draft.Change("lr_scheduler_type", "cosine_with_min_lr", "it needs min_lr or min_lr_rate in lr_scheduler_kwargs");
    }

    /// <summary>The lowest rate as a share of the peak.</summary>
    public static void Share(ImportDraft draft, string key, string text)
    {
        if (ImportDraft.TryNumber(text, out var share) && draft.Number(StepSettings.LearningRate) is { } peak) draft.Set(StepSettings.MinLr, share * peak);
        else draft.Change(key, text, "it is a share of learning_rate, which must be named");
    }
}
