using Trainer.Cli.CommandLine;

namespace Trainer.Cli.Options;

/// <summary>Settings that say what a run writes, keeps and continues.</summary>
internal static class RunSettings
{
    private const string Group = "Run";

    public static readonly Setting OutputDirectory = new("output-dir", SettingKind.Text, Group, "Run folder: adapter, checkpoints, metrics, report.")
    { Short = "-o", Value = "DIR", DefaultNote = "runs/<model>-<time>", InRecipe = true, Aliases = ["output", "adapter-path"] };

    public static readonly Setting LoggingSteps = new("logging-steps", SettingKind.Integer, Group, "Optimizer steps between log rows.")
    { Value = "N", Minimum = 1, DefaultNote = "1 on a terminal, else 10", InRecipe = true, Aliases = ["steps-per-report", "log-every"] };

    public static readonly Setting EvalSteps = new("eval-steps", SettingKind.Integer, Group, "Optimizer steps between evaluations.")
    { Value = "N", Minimum = 1, DefaultNote = "at start and end", InRecipe = true, Aliases = ["steps-per-eval", "eval-every"] };

    public static readonly Setting SaveSteps = new("save-steps", SettingKind.Integer, Group, "Optimizer steps between checkpoints; 0 writes none.")
    { Value = "N", Minimum = 0, Default = "100", InRecipe = true, Aliases = ["save-every"] };

    public static readonly Setting SaveTotalLimit = new("save-total-limit", SettingKind.Integer, Group, "Checkpoints kept, besides the best and the last; 0 keeps all.")
    { Value = "N", Minimum = 0, Default = "3", InRecipe = true };

    public static readonly Setting Patience = new("early-stopping-patience", SettingKind.Integer, Group, "Stop after this many evaluations without improvement.")
    { Value = "N", Minimum = 1, DefaultNote = "off", InRecipe = true };

    public static readonly Setting Resume = new("resume", SettingKind.Text, Group, "Continue as if nothing had happened: from the newest checkpoint of the run folder, or from this one.")
    { Value = "auto|DIR", Bare = "auto", InRecipe = true, Aliases = ["resume-from-checkpoint"] };

    public static readonly Setting AllowDrift = new("allow-drift", SettingKind.Flag, Group, "Resume although base, data or options differ.")
    { Default = "false", InRecipe = true };

    public static readonly Setting Overwrite = new("overwrite-output-dir", SettingKind.Flag, Group, "Take a run folder that holds another run, deleting that run's files.")
    { Default = "false", InRecipe = true };

    public static readonly Setting AllowHighLoss = new("allow-high-loss", SettingKind.Flag, Group, "Go on although the first loss of the base hardly beats guessing.")
    { Default = "false", InRecipe = true };

    public static readonly Setting SamplePrompts = new("sample-prompts", SettingKind.Text, Group, "File of prompts, one a line, answered at each evaluation.")
    { Value = "FILE", InRecipe = true };

    public static readonly Setting ReportTo = new("report-to", SettingKind.List, Group, "What is written beside metrics.jsonl and trainer.log: tensorboard, html, or none.")
    { Value = "KINDS", Default = "tensorboard,html", InRecipe = true };

    public static readonly Setting Config = new("config", SettingKind.Text, "General", "YAML recipe; the command line wins over it.")
    { Short = "-c", Value = "RECIPE.yaml", Aliases = ["recipe"] };

    public static readonly Setting DryRun = new("dry-run", SettingKind.Flag, "General", "Check everything, print the effective recipe and stop.");
}
