using Trainer.Training.Optimizers;
using Trainer.Training.Schedules;
using Trainer.Training.State;

namespace Trainer.Training.Options;

/// <summary>Settings that say how long and how fast the adapter learns.</summary>
public static class StepSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Optimization";

    public static readonly Setting MaxSteps = Setting.Of(o => o.MaxSteps, "max-steps", Group, "Optimizer steps in all; overrides --epochs.") with
    { Value = "N", Minimum = 1, Unset = ["-1"], DefaultNote = "by epochs", Aliases = ["iters", "steps"], Drift = DriftRule.Free };

    public static readonly Setting Epochs = Setting.Of(o => o.Epochs, "epochs", Group, "Passes over the data.") with
    {
        Value = "N", Minimum = 0, AboveMinimum = true, Aliases = ["num-train-epochs", "num-epochs"], Writes = o => o.MaxSteps is null ? o.Epochs : null,
        Drift = DriftRule.Free,
    };

    public static readonly Setting MaxTime = Setting.Of(o => o.MaxTime, "max-time", Group, "Stop with a checkpoint after this long, such as 90m or 8h.") with
    { Value = "TIME", Drift = DriftRule.Free };

    public static readonly Setting BatchSize = Setting.Of(o => o.BatchSize, "batch-size", Group, "Rows in a micro-batch.") with
    { Value = "N", Minimum = 1, Maximum = 65536, Aliases = ["per-device-train-batch-size", "micro-batch-size", "train-batch-size"] };

    public static readonly Setting Accumulation = Setting.Of(o => o.GradientAccumulationSteps, "gradient-accumulation-steps", Group,
        "Micro-batches in an optimizer step; the loss is divided by the step's trained tokens, so 1 x 8 equals 8 x 1.") with
    { Value = "N", Minimum = 1, Maximum = 1048576, Aliases = ["grad-accumulation-steps", "grad-accum"] };

    public static readonly Setting LearningRate = Setting.Of(o => o.LearningRate, "learning-rate", Group, "Peak learning rate.") with
    { Value = "X", Minimum = 0, AboveMinimum = true, Maximum = 10, Aliases = ["lr"] };

    public static readonly Setting Scheduler = Setting.Of(o => o.LrScheduler, "lr-scheduler", Group,
        "Schedule after warm-up; wsd holds the peak until the last tenth.") with
    {
        Kind = SettingKind.Choice, Value = "KIND", Choices = [.. ScheduleTable.Names], Aliases = ["lr-scheduler-type", "scheduler"],
        Synonyms = new Dictionary<string, string> { ["constant-with-warmup"] = "constant" },
    };

    public static readonly Setting SchedulerArgs = Setting.Of(o => o.LrSchedulerArgs, "lr-scheduler-args", Group,
        "What the schedule alone reads, by transformers' names: num_cycles=4, or power=2,lr_end=1e-6.") with
    { Value = "NAME=X", Aliases = ["lr-scheduler-kwargs"] };

    public static readonly Setting Warmup = Setting.Of(o => o.WarmupSteps, "warmup-steps", Group,
        "Steps of warm-up; a number below 1 is a ratio of all steps.") with
    { Value = "N", Minimum = 0, Aliases = ["warmup"], Writes = o => o.WarmupRatio is null ? o.WarmupSteps : null };

    public static readonly Setting WarmupRatio = Setting.Of(o => o.WarmupRatio, "warmup-ratio", Group,
        "Warm-up as a share of all steps, in place of --warmup-steps; 1 warms up to the end.") with
    { Value = "X", Minimum = 0, Maximum = 1 };

    public static readonly Setting MinLr = Setting.Of(o => o.MinLr, "min-lr", Group, "The schedule's lowest rate.") with
    { Value = "X", Minimum = 0 };

    public static readonly Setting WeightDecay = Setting.Of(o => o.WeightDecay, "weight-decay", Group,
        "Weight decay: decoupled, but for adam and sgd, where it is part of the gradient.") with
    { Value = "X", Minimum = 0, Maximum = 1 };

    public static readonly Setting Beta1 = Setting.Of(o => o.AdamBeta1, "adam-beta1", Group, "First-moment decay of the Adam family and of Lion.") with
    { Value = "X", Minimum = 0, Maximum = 1, BelowMaximum = true };

    public static readonly Setting Beta2 = Setting.Of(o => o.AdamBeta2, "adam-beta2", Group,
        "Second-moment decay of the Adam family; of Lion, its momentum's.") with
    { Value = "X", Minimum = 0, Maximum = 1, BelowMaximum = true };

    public static readonly Setting Epsilon = Setting.Of(o => o.AdamEpsilon, "adam-epsilon", Group, "Denominator floor of the Adam family.") with
    { Value = "X", Minimum = 0, AboveMinimum = true };

    public static readonly Setting MaxGradNorm = Setting.Of(o => o.MaxGradNorm, "max-grad-norm", Group,
        "Gradients are scaled down to this global norm; 0 is off.") with
    { Value = "X", Minimum = 0 };

    public static readonly Setting LrPattern = Setting.Of(o => o.LrPattern, "lr-pattern", Group, "Other peak rates for some modules: q_proj=1e-4.") with
    { Value = "NAME=X" };

    public static readonly Setting Neftune = Setting.Of(o => o.NeftuneNoiseAlpha, "neftune-noise-alpha", Group,
        "Noise on embeddings while training (NEFTune); 5 is usual, 0 is off.") with
    { Value = "X", Minimum = 0, Aliases = ["noisy-embedding-alpha"] };

    public static readonly Setting Optim = Setting.Of(o => o.Optim, "optim", Group,
        "The optimizer. Paged, fused and other 8-bit names mean the plain one: states are 32-bit but adamw-8bit's, since adapters are small.") with
    {
        Kind = SettingKind.Choice, Value = "NAME", Choices = [.. OptimizerTable.Names], Aliases = ["optimizer"],
        Synonyms = new Dictionary<string, string>
        {
            ["adamw-torch"] = "adamw", ["adamw-torch-fused"] = "adamw", ["adamw-hf"] = "adamw", ["paged-adamw"] = "adamw", ["paged-adamw-32bit"] = "adamw",
            ["adamw-torch-xla"] = "adamw", ["adamw-torch-npu-fused"] = "adamw", ["adamw-apex-fused"] = "adamw", ["adamw-anyprecision"] = "adamw",
            ["adamw8bit"] = "adamw-8bit", ["adamw-bnb-8bit"] = "adamw-8bit", ["paged-adamw-8bit"] = "adamw-8bit", ["adamw-torch-8bit"] = "adamw-8bit",
            ["adamw-torch-4bit"] = "adamw-8bit",
            ["adamw-torch-fp8"] = "adamw-8bit",
            ["lion-32bit"] = "lion", ["paged-lion-32bit"] = "lion", ["lion-8bit"] = "lion", ["paged-lion-8bit"] = "lion",
            ["rmsprop-bnb"] = "rmsprop", ["rmsprop-bnb-8bit"] = "rmsprop", ["rmsprop-bnb-32bit"] = "rmsprop",
            ["schedulefree-adamw"] = "schedule-free-adamw", ["schedulefree-sgd"] = "schedule-free-sgd",
        },
    };

    public static readonly Setting OptimArgs = Setting.Of(o => o.OptimArgs, "optim-args", Group,
        "What the optimizer alone reads, by torch's names: momentum=0.9,nesterov=true.") with
    { Value = "NAME=X" };

    public static readonly Setting Checkpointing = Setting.Of(o => o.GradientCheckpointing, "gradient-checkpointing", Group,
        "Keep only layer inputs and recompute the rest in the backward pass; auto keeps everything where the plan says it fits.") with
    { Value = "WHEN", Bare = "on", Aliases = ["activation-checkpointing"], Drift = DriftRule.LastBit };

    public static readonly Setting Seed = Setting.Of(o => o.Seed, "seed", Group, "Seed of everything random.") with
    { Value = "N", Minimum = 0, Aliases = ["random-state"] };
}
