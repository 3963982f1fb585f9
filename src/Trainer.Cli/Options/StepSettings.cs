using Trainer.Cli.CommandLine;
using Trainer.Training.Optimizers;

namespace Trainer.Cli.Options;

/// <summary>Settings that say how long and how fast the adapter learns.</summary>
internal static class StepSettings
{
    private const string Group = "Optimization";

    public static readonly Setting MaxSteps = new("max-steps", SettingKind.Integer, Group, "Optimizer steps in all; overrides --epochs.")
    { Value = "N", Minimum = -1, InRecipe = true, DefaultNote = "by epochs", Aliases = ["iters", "steps"] };

    public static readonly Setting Epochs = new("epochs", SettingKind.Number, Group, "Passes over the data.")
    { Value = "N", Minimum = 0, AboveMinimum = true, Default = "1", InRecipe = true, Aliases = ["num-train-epochs", "num-epochs"] };

    public static readonly Setting MaxTime = new("max-time", SettingKind.Duration, Group, "Stop with a checkpoint after this long, such as 90m or 8h.")
    { Value = "TIME", InRecipe = true };

    public static readonly Setting BatchSize = new("batch-size", SettingKind.Integer, Group, "Rows in a micro-batch.")
    { Value = "N", Minimum = 1, Maximum = 65536, Default = "1", InRecipe = true, Aliases = ["per-device-train-batch-size", "micro-batch-size", "train-batch-size"] };

    public static readonly Setting Accumulation = new("gradient-accumulation-steps", SettingKind.Integer, Group, "Micro-batches in an optimizer step; the loss is divided by the step's trained tokens, so 1 x 8 equals 8 x 1.")
    { Value = "N", Minimum = 1, Maximum = 1048576, Default = "8", InRecipe = true, Aliases = ["grad-accumulation-steps", "grad-accum"] };

    public static readonly Setting LearningRate = new("learning-rate", SettingKind.Number, Group, "Peak learning rate.")
    { Value = "X", Minimum = 0, AboveMinimum = true, Maximum = 10, Default = "2e-4", InRecipe = true, Aliases = ["lr"] };

    public static readonly Setting Scheduler = new("lr-scheduler", SettingKind.Choice, Group, "Schedule after warm-up; wsd holds the peak until the last tenth.")
    { Value = "KIND", Choices = ["cosine", "linear", "constant", "wsd"], Default = "cosine", InRecipe = true, Aliases = ["lr-scheduler-type", "scheduler"], Synonyms = new Dictionary<string, string> { ["warmup-stable-decay"] = "wsd", ["constant-with-warmup"] = "constant" } };

    public static readonly Setting Warmup = new("warmup-steps", SettingKind.Number, Group, "Steps of warm-up; a number below 1 is a ratio of all steps.")
    { Value = "N", Minimum = 0, Default = "0.03", InRecipe = true, Aliases = ["warmup-ratio", "warmup"] };

    public static readonly Setting MinLr = new("min-lr", SettingKind.Number, Group, "The schedule's lowest rate.")
    { Value = "X", Minimum = 0, Default = "0", InRecipe = true };

    public static readonly Setting WeightDecay = new("weight-decay", SettingKind.Number, Group, "Decoupled weight decay.")
    { Value = "X", Minimum = 0, Maximum = 1, Default = "0", InRecipe = true };

    public static readonly Setting Beta1 = new("adam-beta1", SettingKind.Number, Group, "AdamW's first-moment decay.")
    { Value = "X", Minimum = 0, Maximum = 1, BelowMaximum = true, Default = "0.9", InRecipe = true };

    public static readonly Setting Beta2 = new("adam-beta2", SettingKind.Number, Group, "AdamW's second-moment decay.")
    { Value = "X", Minimum = 0, Maximum = 1, BelowMaximum = true, Default = "0.999", InRecipe = true };

    public static readonly Setting Epsilon = new("adam-epsilon", SettingKind.Number, Group, "AdamW's denominator floor.")
    { Value = "X", Minimum = 0, AboveMinimum = true, Default = "1e-8", InRecipe = true };

    public static readonly Setting MaxGradNorm = new("max-grad-norm", SettingKind.Number, Group, "Gradients are scaled down to this global norm; 0 is off.")
    { Value = "X", Minimum = 0, Default = "1", InRecipe = true };

    public static readonly Setting Optim = new("optim", SettingKind.Choice, Group, "The optimizer; states are 32-bit.")
    { Value = "NAME", Choices = [.. OptimizerTable.Names], Default = "adamw", InRecipe = true, Aliases = ["optimizer"], Synonyms = new Dictionary<string, string> { ["adamw-torch"] = "adamw", ["adamw-torch-fused"] = "adamw", ["adamw-hf"] = "adamw" } };

    public static readonly Setting Checkpointing = new("gradient-checkpointing", SettingKind.Choice, Group, "Keep only layer inputs and recompute the rest in the backward pass; auto keeps everything where the plan says it fits.")
    { Value = "WHEN", Choices = ["auto", "on", "none"], Default = "auto", Bare = "on", InRecipe = true, Aliases = ["activation-checkpointing"] };

    public static readonly Setting Seed = new("seed", SettingKind.Integer, Group, "Seed of everything random.")
    { Value = "N", Minimum = 0, Default = "42", InRecipe = true };
}
