using Trainer.Training.Objectives;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>GRPO of TRL, and of axolotl, which has TRL's names below a key of their own. Their reward functions are Python; what they say a program must
/// say here.</summary>
internal static class Rewards
{
    private const string Decoder = "answers are made up by trainer's own decoder";
    private const string Shown = "metrics.jsonl holds rewards and lengths of all answers, and one answer of each logged step";
    private const string Whole = "answers are made up anew for each step, or for num_iterations of them";

    private static readonly Dictionary<string, Setting> Same = new()
    {
        ["num_generations"] = GrpoSettings.NumGenerations, ["max_completion_length"] = GrpoSettings.MaxCompletionLength,
        ["temperature"] = GrpoSettings.Temperature, ["top_p"] = GrpoSettings.TopP, ["top_k"] = GrpoSettings.TopK, ["min_p"] = GrpoSettings.MinP,
        ["repetition_penalty"] = GrpoSettings.RepetitionPenalty, ["num_iterations"] = GrpoSettings.NumIterations, ["epsilon"] = GrpoSettings.Epsilon,
        ["epsilon_high"] = GrpoSettings.EpsilonHigh, ["importance_sampling_level"] = GrpoSettings.ImportanceLevel,
        ["scale_rewards"] = GrpoSettings.ScaleRewards, ["mask_truncated_completions"] = GrpoSettings.MaskTruncated,
        ["reward_weights"] = GrpoSettings.RewardWeights, ["beta"] = PreferenceSettings.Beta,
    };

    // Keys of these runs alone, that change nothing here or cannot be kept.
    private static readonly Dictionary<string, KeyRule> Others = new()
    {
        ["use_vllm"] = KeyRules.Drop(Decoder), ["use_transformers_paged"] = KeyRules.Drop(Decoder), ["cache_implementation"] = KeyRules.Drop(Decoder),
        ["ds3_gather_for_generation"] = KeyRules.Drop(Decoder), ["log_completions"] = KeyRules.Drop(Shown),
        ["num_completions_to_print"] = KeyRules.Drop(Shown), ["use_liger_loss"] = KeyRules.Drop(KeyRules.Speed),
        ["steps_per_generation"] = KeyRules.Stop(Whole), ["generation_batch_size"] = KeyRules.Stop(Whole),
        ["delta"] = KeyRules.Stop("a ratio has no upper bound beside epsilon_high"),
        ["top_entropy_quantile"] = KeyRules.Only(["1", "1.0"], "every token of an answer is learnt from"),
        ["sync_ref_model"] = KeyRules.Stop("the reference stays what it was"),
        ["reward_processing_classes"] = KeyRules.Drop("a program reads text"),
        ["reward_num_workers"] = KeyRules.Drop("a program is started once and kept"),
    };

    private static readonly string[] Functions = ["reward_funcs", "reward_model_name_or_path"];

    /// <summary>The keys of TRL's configuration that only such runs have; the others are read with it.</summary>
    public static IReadOnlyDictionary<string, KeyRule> Keys { get; } = Same.Keys.Concat(Functions).Except(["beta"])
        .Select(name => KeyValuePair.Create(name, Schedules.Later)).Concat(Others.Where(pair => pair.Key != "sync_ref_model")).ToDictionary();

    /// <summary>Whether a configuration of TRL is one of these runs.</summary>
    public static bool IsMeant(ImportDraft draft) => draft.Theirs("num_generations") is not null || draft.Theirs("reward_funcs") is not null
        || draft.Theirs("loss_type")?.Replace('_', '-') is { } type && ObjectiveTable.LossTypes("grpo").Contains(type);

    /// <summary>TRL's keys, where they stand.</summary>
    public static void Trl(ImportDraft draft)
    {
        Begin(draft);
        foreach (var (name, setting) in Same)
            if (draft.Theirs(name) is { } text) draft.Take(setting, name, text);
        Loss(draft, "loss_type", draft.Theirs("loss_type"));
    }

    /// <summary>axolotl's keys below <c>trl</c>.</summary>
    public static void Axolotl(ImportDraft draft)
    {
        Begin(draft);
        foreach (var (node, value) in ImportDraft.Pairs(draft.Node("trl")))
        {
            var (name, text) = (node.ToString(), ImportDraft.Flat(value));
            if (ImportDraft.IsNothing(text)) continue;
            if (Same.TryGetValue(name, out var setting)) draft.Take(setting, "trl." + name, text);
            else if (name == "loss_type") Loss(draft, "trl.loss_type", text);
            else if (Others.TryGetValue(name, out var rule)) rule(draft, "trl." + name, text, value);
            else if (name.StartsWith("vllm_", StringComparison.Ordinal)) draft.Drop("trl." + name, text, Decoder);
            else if (!Functions.Contains(name)) draft.Change("trl." + name, text, "no run on rewards here knows it");
        }
    }

    private static void Begin(ImportDraft draft)
    {
        draft.Set(PreferenceSettings.Objective, "grpo");
        draft.Miss("the reward functions are Python there: write a program that reads a line of JSON for each answer and writes its reward, and pass "
            + "--reward-command COMMAND to train");
    }

    private static void Loss(ImportDraft draft, string key, string? text)
    {
        if (text is null) return;
        var type = text.ToLowerInvariant().Replace('_', '-');
        if (ObjectiveTable.LossTypes("grpo").Contains(type)) draft.Set(PreferenceSettings.LossType, ImportDraft.Words(type));
        else draft.Change(key, text, $"grpo has {string.Join(", ", ObjectiveTable.LossTypes("grpo"))}");
    }
}
