using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>Settings that give the adapter its shape.</summary>
internal static class AdapterSettings
{
    private const string Group = "Adapter";

    public static readonly Setting Rank = new("lora-rank", SettingKind.Integer, Group, "Rank of the adapter matrices.")
    { Value = "R", Minimum = 1, Maximum = 65536, Default = "16", InRecipe = true, Aliases = ["lora-r", "rank", "r"] };

    public static readonly Setting Alpha = new("lora-alpha", SettingKind.Number, Group, "Scale numerator: the update is multiplied by alpha / rank.")
    { Value = "A", Minimum = 0, AboveMinimum = true, DefaultNote = "2 x rank", InRecipe = true, Aliases = ["alpha"] };

    public static readonly Setting Dropout = new("lora-dropout", SettingKind.Number, Group, "Probability with which an adapter input is dropped.")
    { Value = "P", Minimum = 0, Maximum = 1, BelowMaximum = true, Default = "0", InRecipe = true };

    public static readonly Setting TargetModules = new("target-modules", SettingKind.List, Group, "Which modules are adapted: all-linear (all but the head), names or suffixes, or one regular expression; embed_tokens and lm_head by name.")
    { Value = "NAMES", Default = "all-linear", InRecipe = true, Aliases = ["lora-target", "lora-target-modules"] };

    public static readonly Setting Layers = new("lora-layers", SettingKind.Integer, Group, "Adapt the last N layers only.")
    { Value = "N", Minimum = 1, DefaultNote = "all", InRecipe = true, Aliases = ["num-layers"] };

    public static readonly Setting LayersToTransform = new("layers-to-transform", SettingKind.List, Group, "Adapt exactly these layers, counted from 0.")
    { Value = "N,N", DefaultNote = "all", InRecipe = true };

    public static readonly Setting UseRslora = new("use-rslora", SettingKind.Flag, Group, "Scale by alpha / sqrt(rank) instead.")
    { Default = "false", InRecipe = true };

    public static readonly Setting UseDora = new("use-dora", SettingKind.Flag, Group, "Weight-decomposed adaptation (DoRA).")
    { Default = "false", InRecipe = true };

    public static readonly Setting LoraPlusRatio = new("loraplus-ratio", SettingKind.Number, Group, "Learning-rate ratio of B to A (LoRA+).")
    { Value = "X", Minimum = 0, AboveMinimum = true, DefaultNote = "1", InRecipe = true, Aliases = ["loraplus-lr-ratio"] };

    public static readonly Setting Init = new("init-lora", SettingKind.Choice, Group, "How fresh adapter tensors are filled; B is zero either way.")
    { Value = "KIND", Choices = ["kaiming", "gaussian"], Default = "kaiming", InRecipe = true, Aliases = ["init-lora-weights"] };

    public static readonly Setting ModulesToSave = new("modules-to-save", SettingKind.List, Group, "Modules trained and saved whole, such as lm_head.")
    { Value = "NAMES", InRecipe = true, Aliases = ["lora-modules-to-save", "additional-target"] };

    public static readonly Setting RankPattern = new("rank-pattern", SettingKind.Pairs, Group, "Other ranks for some modules: q_proj=8,down_proj=32.")
    { Value = "NAME=R", InRecipe = true };

    public static readonly Setting AlphaPattern = new("alpha-pattern", SettingKind.Pairs, Group, "Other alphas for some modules.")
    { Value = "NAME=A", InRecipe = true };

    public static readonly Setting Bias = new("bias", SettingKind.Choice, Group, "Which biases are trained.")
    { Value = "WHICH", Choices = ["none", "all", "lora-only"], Default = "none", InRecipe = true, Aliases = ["lora-bias-kind"] };

    public static readonly Setting LoraBias = new("lora-bias", SettingKind.Flag, Group, "Give lora_B a bias.")
    { Default = "false", InRecipe = true };

    public static readonly Setting Adapter = new("adapter", SettingKind.Text, Group, "Continue from this PEFT adapter folder; its shape is kept.")
    { Value = "DIR", InRecipe = true, Aliases = ["adapter-name-or-path", "lora-model-dir"] };
}
