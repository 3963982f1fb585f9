using Trainer.Models.Lora;
using Trainer.Training.State;

namespace Trainer.Training.Options;

/// <summary>Settings that give the adapter its shape.</summary>
public static class AdapterSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Adapter";

    public static readonly Setting Rank = Setting.Of(o => o.Lora.Rank, "lora-rank", Group, "Rank of the adapter matrices.") with
    { Value = "R", Minimum = 1, Maximum = 65536, Aliases = ["lora-r", "rank", "r"], ShapesAdapter = true };

    public static readonly Setting Alpha = Setting.Of(o => o.Lora.Alpha, "lora-alpha", Group,
        "Scale numerator: the update is multiplied by alpha / rank.") with
    {
        Value = "A", Minimum = 0, AboveMinimum = true, DefaultNote = "2 x rank", Aliases = ["alpha"], Writes = o => o.Lora.EffectiveAlpha,
        ShapesAdapter = true,
    };

    public static readonly Setting Dropout = Setting.Of(o => o.Lora.Dropout, "lora-dropout", Group,
        "Probability with which an adapter input is dropped.") with
    { Value = "P", Minimum = 0, Maximum = 1, BelowMaximum = true };

    public static readonly Setting TargetModules = Setting.Of(o => o.Lora.TargetModules, "target-modules", Group,
        "Which modules are adapted: all-linear (all but the head), names or suffixes, or one regular expression; embed_tokens and lm_head by name.") with
    { Value = "NAMES", Aliases = ["lora-target", "lora-target-modules"], Reads = ReadTargets, ShapesAdapter = true };

    public static readonly Setting TargetParameters = Setting.Of(o => o.Lora.TargetParameters, "target-parameters", Group,
        "Tensors of experts that are adapted too, such as experts.down_proj.") with
    { Value = "NAMES", ShapesAdapter = true };

    public static readonly Setting Layers = Setting.Of(o => o.Lora.Layers, "lora-layers", Group, "Adapt the last N layers only.") with
    { Value = "N", Minimum = 1, DefaultNote = "all", Aliases = ["num-layers"], ShapesAdapter = true };

    public static readonly Setting LayersToTransform = Setting.Of(o => o.Lora.LayersToTransform, "layers-to-transform", Group,
        "Adapt exactly these layers, counted from 0.") with
    { Value = "N,N", DefaultNote = "all", ShapesAdapter = true };

    public static readonly Setting UseRslora = Setting.Of(o => o.Lora.UseRslora, "use-rslora", Group, "Scale by alpha / sqrt(rank) instead.") with
    { ShapesAdapter = true };

    public static readonly Setting UseDora = Setting.Of(o => o.Lora.UseDora, "use-dora", Group, "Weight-decomposed adaptation (DoRA).") with
    { ShapesAdapter = true };

    public static readonly Setting LoraPlusRatio = Setting.Of(o => o.Lora.LoraPlusRatio, "loraplus-ratio", Group,
        "Learning-rate ratio of B to A (LoRA+).") with
    { Value = "X", Minimum = 0, AboveMinimum = true, DefaultNote = "1", Aliases = ["loraplus-lr-ratio"] };

    public static readonly Setting FreezeA = Setting.Of(o => o.Lora.FreezeA, "freeze-a", Group, "Train B alone (LoRA-FA).") with
    { Aliases = ["lora-fa"] };

    public static readonly Setting Init = Setting.Of(o => o.Lora.Init, "init-lora", Group,
        "How fresh adapter tensors are filled. pissa and olora begin in the weight's own directions and save an adapter of twice the rank; loftq makes up for "
        + "what --quantize loses; eva takes the directions in which the layers' inputs vary, and gives layers ranks by them.") with
    { Value = "KIND", Aliases = ["init-lora-weights"], ShapesAdapter = true };

    public static readonly Setting EvaRho = Setting.Of(o => o.Lora.EvaRho, "eva-rho", Group,
        "Most times its rank that a layer may get from --init-lora eva; 1 leaves every layer its own.") with
    { Value = "X", Minimum = 1, Maximum = 100, ShapesAdapter = true, Writes = o => o.Lora.Init == AdapterInit.Eva ? o.Lora.EvaRho : null };

    public static readonly Setting ModulesToSave = Setting.Of(o => o.Lora.ModulesToSave, "modules-to-save", Group,
        "Modules trained and saved whole, such as lm_head.") with
    { Value = "NAMES", Aliases = ["lora-modules-to-save", "additional-target"], ShapesAdapter = true };

    public static readonly Setting TextClass = Setting.Of(o => o.Lora.TextClass, "adapter-for-text-class", Group,
        "Of a multimodal base: write the adapter's names for the text model's own class, not for the multimodal one.");

    public static readonly Setting ExcludeModules = Setting.Of(o => o.Lora.ExcludeModules, "exclude-modules", Group,
        "Modules left alone though --target-modules names them: names or suffixes, or one regular expression.") with
    { Value = "NAMES", ShapesAdapter = true };

    public static readonly Setting TrainableTokenIndices = Setting.Of(o => o.Lora.TrainableTokenIndices, "trainable-token-indices", Group,
        "Tokens whose rows of the embedding are trained with the adapter; a tied head follows.") with
    { Value = "N,N", ShapesAdapter = true };

    public static readonly Setting AddTokens = Setting.Of(o => o.Lora.AddTokens, "add-tokens", Group,
        "A file of texts, one a line, that become tokens: rows of embedding and head are trained for them, and resized where they must be.") with
    { Value = "FILE", Kind = SettingKind.File, Aliases = ["new-tokens"], Drift = DriftRule.Free, ShapesAdapter = true };

    public static readonly Setting RankPattern = Setting.Of(o => o.Lora.RankPattern, "rank-pattern", Group,
        "Other ranks for some modules: q_proj=8,down_proj=32.") with
    { Value = "NAME=R", ShapesAdapter = true };

    public static readonly Setting AlphaPattern = Setting.Of(o => o.Lora.AlphaPattern, "alpha-pattern", Group, "Other alphas for some modules.") with
    { Value = "NAME=A", ShapesAdapter = true };

    public static readonly Setting Bias = Setting.Of(o => o.Lora.Bias, "bias", Group, "Which biases are trained.") with
    { Value = "WHICH", Aliases = ["lora-bias-kind"], ShapesAdapter = true };

    public static readonly Setting LoraBias = Setting.Of(o => o.Lora.LoraBias, "lora-bias", Group, "Give lora_B a bias.") with
    { ShapesAdapter = true };

    public static readonly Setting Adapter = Setting.Of(o => o.AdapterDirectory, "adapter", Group,
        "Continue from this PEFT adapter folder; its shape is kept.") with
    { Value = "DIR", Aliases = ["adapter-name-or-path", "lora-model-dir"], Kind = SettingKind.Folder, Drift = DriftRule.Free };

    private static IReadOnlyList<string>? ReadTargets(SettingValues values, Setting setting)
    {
        var items = values.Items(setting);
        // One word with the marks of a regular expression is one, commas and all: q_proj|v_proj, .*\.(q|v)_proj, x{1,2}.
        var isExpression = items.Count == 1 && items[0].Text.IndexOfAny(['*', '|', '(', '[', '\\', '{']) >= 0;
        var names = isExpression ? [items[0].Text] : values.List(setting);
        if (names.Count == 0) values.Fault($"{values.Origin(setting)} is empty; use all-linear or names such as q_proj,v_proj");
        // LLaMA-Factory says `all`, mlx-lm says nothing at all.
        return names is ["all"] ? ["all-linear"] : names;
    }
}
