using Trainer.Training.Objectives;
using Trainer.Training.Options;

namespace Trainer.Cli.Importing;

/// <summary>Preference training of other tools: which objective is meant, and its numbers. Several keys decide together, so they are read when all have been
/// seen.</summary>
internal static class Preferences
{
    private const string NoRewardModel = "no reward is learnt; --objective grpo learns from programs that reward answers";
    private const string OwnReference = "the reference is the base, or the adapter that is continued";

    /// <summary>Keys of LLaMA-Factory.</summary>
    public static readonly IReadOnlyDictionary<string, KeyRule> LlamaFactoryKeys = new Dictionary<string, KeyRule>
    {
        ["pref_loss"] = Schedules.Later,
        ["pref_beta"] = Schedules.Later,
        ["pref_ftx"] = Schedules.Later,
        ["dpo_label_smoothing"] = Schedules.Later,
        ["simpo_gamma"] = Schedules.Later,
        ["kto_chosen_weight"] = Schedules.Later,
        ["kto_rejected_weight"] = Schedules.Later,
        ["pref_bco_weight"] = KeyRules.Stop("there is no such term here"),
        ["ld_alpha"] = KeyRules.Stop("there only the policy is shortened by it, and here the reference is too"),
        ["ref_model"] = KeyRules.Stop(OwnReference),
        ["ref_model_adapters"] = KeyRules.Stop(OwnReference),
        ["ref_model_quantization_bit"] = KeyRules.Stop(OwnReference),
        ["reward_model"] = KeyRules.Stop(NoRewardModel),
    };

    /// <summary>Keys of axolotl and TRL, which name them alike.</summary>
    public static readonly IReadOnlyDictionary<string, KeyRule> TrlKeys = new Dictionary<string, KeyRule>
    {
        ["beta"] = Schedules.Later,
        ["rl_beta"] = Schedules.Later,
        ["dpo_beta"] = Schedules.Later,
        ["orpo_alpha"] = Schedules.Later,
        ["label_smoothing"] = Schedules.Later,
        ["dpo_label_smoothing"] = Schedules.Later,
        ["simpo_gamma"] = Schedules.Later,
        ["cpo_alpha"] = Schedules.Later,
        ["rpo_alpha"] = Schedules.Later,
        ["kto_desirable_weight"] = Schedules.Later,
        ["kto_undesirable_weight"] = Schedules.Later,
        ["desirable_weight"] = Schedules.Later,
        ["undesirable_weight"] = Schedules.Later,
        ["dpo_loss_type"] = Schedules.Later,
        ["dpo_loss_weights"] = Schedules.Later,
        ["loss_weights"] = Schedules.Later,
        ["ld_alpha"] = KeyRules.To(PreferenceSettings.LdAlpha),
        ["precompute_ref_log_probs"] = KeyRules.To(PreferenceSettings.PrecomputeReference),
        ["precompute_ref_batch_size"] = KeyRules.Drop(KeyRules.Speed),
        ["reference_free"] = KeyRules.WhenOn(draft => draft.Set(PreferenceSettings.Reference, "none")),
        ["rl_adapter_ref_model"] = KeyRules.WhenOn(draft => draft.Set(PreferenceSettings.Reference, "adapter")),
        ["ref_model"] = KeyRules.Stop(OwnReference),
        ["ref_model_name_or_path"] = KeyRules.Stop(OwnReference),
        ["sync_ref_model"] = KeyRules.Stop("the reference stays what it was"),
        ["force_use_ref_model"] = KeyRules.Drop(OwnReference),
        ["disable_dropout"] = KeyRules.Drop("lora_dropout says it"),
        ["dpo_use_weighting"] = KeyRules.Stop("pairs have one weight"),
        ["use_weighting"] = KeyRules.Stop("pairs have one weight"),
        ["f_divergence_type"] = KeyRules.Only(["reverse_kl", "FDivergenceType.REVERSE_KL"], "the divergence is the reverse KL"),
        ["max_prompt_length"] = KeyRules.Drop("a prompt is never cut by itself: max_seq_length is for prompt and answer"),
        ["max_prompt_len"] = KeyRules.Drop("a prompt is never cut by itself: max_seq_length is for prompt and answer"),
        ["max_completion_length"] = (draft, key, text, _) =>
        {
            if (!Rewards.IsMeant(draft)) draft.Drop(key, text, "an answer is never cut by itself: max_seq_length is for prompt and answer");
        },
        ["dpo_padding_free"] = KeyRules.Drop(KeyRules.Padding),
        ["dpo_use_logits_to_keep"] = KeyRules.Drop(KeyRules.Speed),
        ["use_logits_to_keep"] = KeyRules.Drop(KeyRules.Speed),
    }.Concat(Rewards.Keys.Where(pair => pair.Key != "max_completion_length")).ToDictionary();

    /// <summary>LLaMA-Factory's stage and losses.</summary>
    public static void LlamaFactory(ImportDraft draft)
    {
        if (draft.Theirs("stage") is not { } stage || stage is "sft" or "pt") return;
        if (stage is not ("dpo" or "kto"))
        {
            draft.Change("stage", stage, NoRewardModel);
            return;
        }
        var loss = stage == "kto" ? "kto" : draft.Theirs("pref_loss") ?? "sigmoid";
        var objective = loss switch { "kto" or "orpo" or "simpo" => loss, "sigmoid" or "hinge" or "ipo" => "dpo", _ => null };
        if (objective is null)
        {
            draft.Change("pref_loss", loss, "pairs are compared by sigmoid, hinge, ipo, orpo or simpo");
            return;
        }
        draft.Set(PreferenceSettings.Objective, objective);
        var smoothed = objective == "dpo" && Number(draft, "dpo_label_smoothing") > 0;
        if (objective == "dpo") draft.Set(PreferenceSettings.LossType, ImportDraft.Words(loss == "sigmoid" && smoothed ? "conservative" : loss));
        if (objective == "orpo") draft.Set(PreferenceSettings.LossType, ImportDraft.Words("llamafactory"));
        Take(draft, PreferenceSettings.Beta, "pref_beta");
        if (Number(draft, "pref_ftx") > 0) For(draft, PreferenceSettings.PrefFtx, "pref_ftx", objective, "dpo", "simpo", "kto");
        if (smoothed && loss == "sigmoid") Take(draft, PreferenceSettings.LabelSmoothing, "dpo_label_smoothing");
        else if (smoothed) draft.Change("dpo_label_smoothing", draft.Theirs("dpo_label_smoothing")!, $"pref_loss {loss} does not read it");
        if (objective == "simpo") Take(draft, PreferenceSettings.SimpoGamma, "simpo_gamma");
        if (objective == "kto")
        {
            Take(draft, PreferenceSettings.DesirableWeight, "kto_chosen_weight");
            Take(draft, PreferenceSettings.UndesirableWeight, "kto_rejected_weight");
        }
        // Its reference is the base without the adapter that is continued.
        if (draft.IsContinued && objective is "dpo" or "kto") draft.Default(PreferenceSettings.Reference, "base");
    }

    /// <summary>axolotl's rl.</summary>
    public static void Axolotl(ImportDraft draft)
    {
        if (draft.Theirs("rl") is not { } method) return;
        if (method is "grpo" or "gspo" or "gdpo") Grpo(draft, method);
        else if (method is not ("dpo" or "ipo" or "kto" or "orpo" or "simpo")) draft.Change("rl", method, NoRewardModel);
        else Trl(draft, method == "ipo" ? "dpo" : method, method == "ipo" ? "ipo" : draft.Theirs("dpo_loss_type"), draft.Theirs("dpo_loss_weights"));
    }

    private static void Grpo(ImportDraft draft, string method)
    {
        if (method == "gdpo") draft.Change("rl", method, "the rewards of several programs are added before they are compared, and not after");
        else Rewards.Axolotl(draft);
        if (method == "gspo") draft.Default(GrpoSettings.ImportanceLevel, "sequence");
    }

    /// <summary>TRL's trainers, which its configuration does not name: their own keys tell them.</summary>
    public static void Trl(ImportDraft draft)
    {
        var type = draft.Theirs("loss_type");
        if (type is "nll" or "chunked_nll" or "dft") return;
        if (Rewards.IsMeant(draft))
        {
            Rewards.Trl(draft);
            return;
        }
        bool Has(params string[] keys) => keys.Any(key => draft.Theirs(key) is not null);
        var objective = Has("desirable_weight", "undesirable_weight") || type is "kto" or "apo_zero_unpaired" ? "kto"
            : type == "simpo" || Has("simpo_gamma") ? "simpo"
            : type is not null || Has("beta", "precompute_ref_log_probs", "reference_free", "rpo_alpha", "ld_alpha", "label_smoothing") ? "dpo"
            : null;
        if (objective is not null) Trl(draft, objective, type == "simpo" ? null : type, draft.Theirs("loss_weights"));
    }

    private static void Trl(ImportDraft draft, string objective, string? types, string? weights)
    {
        draft.Set(PreferenceSettings.Objective, objective);
        var smoothing = draft.Theirs("dpo_label_smoothing") is null ? "label_smoothing" : "dpo_label_smoothing";
        var isSmoothed = Number(draft, smoothing) > 0;
        List<string> losses = [.. ImportDraft.Words(types ?? "").Select(word => word.ToString()!.Replace('_', '-'))];
        var known = ObjectiveTable.LossTypes(objective);
        if (losses.Where(loss => !known.Contains(loss)).ToList() is { Count: > 0 } unknown)
            draft.Change("loss_type", string.Join(", ", unknown), $"{objective} has {string.Join(", ", known)}");
        else if (objective == "dpo")
        {
            if (losses.Count == 0) losses.Add("sigmoid");
            // What cDPO is there: TRL before 1.0 smooths sigmoid, later ones pass it over.
            if (isSmoothed) losses = [.. losses.Select(loss => loss == "sigmoid" ? "conservative" : loss)];
            draft.Set(PreferenceSettings.LossType, ImportDraft.Words(string.Join(',', losses)));
        }
        else if (losses.Count > 0) draft.Set(PreferenceSettings.LossType, ImportDraft.Words(losses[0]));
        if (objective == "orpo") draft.Set(PreferenceSettings.LossType, ImportDraft.Words("trl"));
        if (weights is not null) draft.Set(PreferenceSettings.LossWeights, ImportDraft.Words(weights));
        if (isSmoothed) For(draft, PreferenceSettings.LabelSmoothing, smoothing, objective, "dpo", "simpo");
        foreach (var key in objective == "orpo" ? new[] { "orpo_alpha", "beta", "rl_beta" } : ["beta", "rl_beta", "dpo_beta"])
            Take(draft, PreferenceSettings.Beta, key);
        if (draft.Theirs("rpo_alpha") is not null) For(draft, PreferenceSettings.NllWeight, "rpo_alpha", objective, "dpo");
        if (objective == "simpo")
        {
            Take(draft, PreferenceSettings.SimpoGamma, "simpo_gamma");
            Take(draft, PreferenceSettings.NllWeight, "cpo_alpha");
            // There SimPO adds the answers' cross entropy unless told not to.
            draft.Default(PreferenceSettings.NllWeight, 1.0);
        }
        if (objective != "kto") return;
        foreach (var prefix in new[] { "", "kto_" })
        {
            Take(draft, PreferenceSettings.DesirableWeight, prefix + "desirable_weight");
            Take(draft, PreferenceSettings.UndesirableWeight, prefix + "undesirable_weight");
        }
    }

    private static void For(ImportDraft draft, Setting setting, string key, string objective, params string[] readers)
    {
        if (readers.Contains(objective)) Take(draft, setting, key);
        else draft.Change(key, draft.Theirs(key)!, $"{objective} does not read it here");
    }

    private static void Take(ImportDraft draft, Setting setting, string key)
    {
        if (draft.Theirs(key) is { } text) draft.Take(setting, key, text);
    }

    private static double Number(ImportDraft draft, string key) => draft.Theirs(key) is { } text && ImportDraft.TryNumber(text, out var number) ? number : 0;
}
