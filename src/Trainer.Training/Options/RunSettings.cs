using Trainer.Training.Answers;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Training.Options;

/// <summary>Settings that say what a run writes, keeps and continues.</summary>
public static class RunSettings
{
#pragma warning disable CS1591 // the help text of each row is its documentation
    private const string Group = "Run";

    private static readonly string[] NoReport = ["none"];

    public static readonly Setting OutputDirectory = Setting.Of(o => o.OutputDirectory, "output-dir", Group,
        "Run folder: adapter, checkpoints, metrics, report.") with
    { Short = "-o", Value = "DIR", DefaultNote = "runs/<model>-<time>", Aliases = ["output", "adapter-path", "out-dir", "save-path"], Drift = DriftRule.Free };

    public static readonly Setting LoggingSteps = Setting.Of(o => o.LoggingSteps, "logging-steps", Group, "Optimizer steps between log rows.") with
    {
        Value = "N", Minimum = 1, DefaultNote = "1 on a terminal, else 10", Aliases = ["steps-per-report", "log-every"], Default = null,
        Drift = DriftRule.Free,
    };

    public static readonly Setting EvalSteps = Setting.Of(o => o.EvalSteps, "eval-steps", Group,
        "Optimizer steps between evaluations; a number below 1 is a ratio of all steps.") with
    { Value = "N", Minimum = 0, AboveMinimum = true, DefaultNote = "at start and end", Aliases = ["steps-per-eval", "eval-every"] };

    public static readonly Setting EvalStrategy = Setting.Of(o => o.EvalStrategy, "eval-strategy", Group,
        "Evaluate every --eval-steps, or at the end of each epoch.") with
    { Value = "PACE", Aliases = ["evaluation-strategy"], Unset = ["no"] };

    public static readonly Setting SaveSteps = Setting.Of(o => o.SaveSteps, "save-steps", Group,
        "Optimizer steps between checkpoints; a number below 1 is a ratio of all steps, 0 writes none.") with
    { Value = "N", Minimum = 0, Aliases = ["save-every"], Drift = DriftRule.Free };

    public static readonly Setting SaveStrategy = Setting.Of(o => o.SaveStrategy, "save-strategy", Group,
        "Write a checkpoint every --save-steps, or at the end of each epoch.") with
    { Value = "PACE", Drift = DriftRule.Free };

    public static readonly Setting SaveTotalLimit = Setting.Of(o => o.SaveTotalLimit, "save-total-limit", Group,
        "Checkpoints kept, best and newest always among them; 0 keeps all.") with
    { Value = "N", Minimum = 0, Drift = DriftRule.Free };

    public static readonly Setting Patience = Setting.Of(o => o.EarlyStoppingPatience, "early-stopping-patience", Group,
        "Stop after this many evaluations without improvement.") with
    { Value = "N", Minimum = 1, DefaultNote = "off", Drift = DriftRule.Free };

    public static readonly Setting LoadBest = Setting.Of(o => o.LoadBestModelAtEnd, "load-best-model-at-end", Group,
        "The adapter of the best evaluation is the result, not that of the last step. Early stopping does so in any case.") with
    { Drift = DriftRule.Free };

    public static readonly Setting MetricForBestModel = Setting.Of(o => o.MetricForBestModel, "metric-for-best-model", Group,
        "What evaluations are compared by, for the best checkpoint, early stopping and reduce-lr-on-plateau: loss, or of a preference objective "
        + "rewards/accuracies, rewards/margins, logps/chosen and the like. Which way is better follows from the name.") with
    { Value = "NAME", Reads = (values, setting) => values.Text(setting) is { } name ? EvalMetric.Plain(name) : null };

    public static readonly Setting Resume = Setting.Of(o => o.Resume, "resume", Group,
        "Continue as if nothing had happened: from the newest checkpoint of the run folder, or from this one.") with
    {
        Value = "auto|DIR", Bare = "auto", Unset = ["false"], Synonyms = new Dictionary<string, string> { ["true"] = "auto" },
        Aliases = ["resume-from-checkpoint"], Drift = DriftRule.Free,
    };

    public static readonly Setting AllowDrift = Setting.Of(o => o.AllowDrift, "allow-drift", Group, "Resume although base, data or options differ.") with
    { Writes = o => o.AllowDrift ? true : null, Drift = DriftRule.Free };

    public static readonly Setting Overwrite = Setting.Of(o => o.OverwriteOutputDirectory, "overwrite-output-dir", Group,
        "Take a run folder that holds another run, deleting that run's files.") with
    { Writes = o => o.OverwriteOutputDirectory ? true : null, Drift = DriftRule.Free };

    public static readonly Setting Distributed = Setting.Of(o => o.Distributed, "distributed", Group,
        "Train together with other processes: auto over MPI where mpirun or srun started several, off, mpi in any case, or nccl with a card for each.") with
    { Value = "MODE", Drift = DriftRule.Free };

    public static readonly Setting AllowHighLoss = Setting.Of(o => o.AllowHighLoss, "allow-high-loss", Group,
        "Go on although the first loss of the base hardly beats guessing.") with
    { Drift = DriftRule.Free };

    public static readonly Setting SamplePrompts = Setting.Of(o => o.SamplePromptsFile, "sample-prompts", Group,
        "File of prompts, one a line, answered at each evaluation.") with
    { Value = "FILE", Kind = SettingKind.File, Drift = DriftRule.Free };

    public static readonly Setting EvalMetrics = Setting.Of(o => o.EvalMetrics, "eval-metrics", Group,
        "Let the model answer held-out rows at each evaluation, and measure the answers by exact_match, contains, f1, rouge_l, json_valid or choice.") with
    { Value = "LIST", Aliases = ["metrics"], Reads = ReadMetrics };

    public static readonly Setting EvalAnswers = Setting.Of(o => o.EvalAnswers, "eval-answers", Group,
        "Held-out rows that --eval-metrics lets the model answer, the first ones.") with
    { Value = "N", Minimum = 1 };

    public static readonly Setting AnswerTokens = Setting.Of(o => o.AnswerTokens, "answer-tokens", Group, "Most tokens of such an answer.") with
    { Value = "N", Minimum = 1, Aliases = ["generation-max-length"] };

    public static readonly Setting AnswerPattern = Setting.Of(o => o.AnswerPattern, "answer-pattern", Group,
        "What is compared of both answers: the last number, what stands behind ####, in \\boxed{}, or the last match of a regular expression (its first "
        + "group).") with
    { Value = "number|####|boxed|REGEX", Reads = ReadPattern };

    public static readonly Setting ReportTo = Setting.Of(o => o.ReportTo, "report-to", Group,
        "What is written beside metrics.jsonl and trainer.log: tensorboard, html, mlflow, wandb, or none. wandb writes W&B's offline files for 'wandb sync'; "
        + "WANDB_PROJECT, WANDB_ENTITY, WANDB_NAME, WANDB_RUN_GROUP and WANDB_TAGS are read.") with
    { Value = "KINDS", Reads = ReadReportTo, Writes = o => o.ReportTo.Count > 0 ? o.ReportTo : NoReport, Drift = DriftRule.Free };

    // Not in recipes: one from elsewhere must send nothing.
    public static readonly Setting MlflowUri = new("mlflow-uri", SettingKind.Text, Group,
        "The MLflow server of --report-to mlflow. MLFLOW_EXPERIMENT_NAME, MLFLOW_RUN_NAME and MLFLOW_TRACKING_TOKEN, or _USERNAME and _PASSWORD, are read too.")
    { Value = "URL", DefaultNote = "MLFLOW_TRACKING_URI", Aliases = ["mlflow-tracking-uri"], Drift = DriftRule.Free };

    // Not in recipes: one from elsewhere must start nothing.
    public static readonly Setting OnFinish = Setting.Of(o => o.OnFinish, "on-finish", Group,
        "Shell command to run when the run has ended, with TRAINER_RUN, TRAINER_STATE (done, interrupted, failed), TRAINER_MESSAGE and " +
        "TRAINER_EXIT_CODE in its environment.") with
    { Value = "COMMAND", InRecipe = false, Drift = DriftRule.Free };

    public static readonly Setting Config = new("config", SettingKind.Text, "General", "YAML recipe; the command line wins over it.")
    { Short = "-c", Value = "RECIPE.yaml", Aliases = ["recipe"] };

    public static readonly Setting DryRun = new("dry-run", SettingKind.Flag, "General",
        "Print the effective recipe, check options, data, model, memory and disk as a run would, and stop.");

    /// <summary>The metrics that were named; words that are none become faults.</summary>
    public static IReadOnlyList<string> ReadMetrics(SettingValues values, Setting setting)
    {
        var names = values.List(setting).Select(name => name.Replace('-', '_').ToLowerInvariant()).Distinct().ToArray();
        foreach (var name in names.Except(AnswerMetrics.Names))
            values.Fault($"{values.Origin(setting)} '{name}' is not one of {string.Join(", ", AnswerMetrics.Names)}");
        return names;
    }

    /// <summary>The pattern as it was typed; one that cannot be read becomes a fault.</summary>
    public static string? ReadPattern(SettingValues values, Setting setting)
    {
        if (values.Text(setting) is not { } text) return null;
        if (Answers.AnswerPattern.Fault(text) is { } why) values.Fault($"{values.Origin(setting)} '{text}' is no regular expression: {why}");
        return text;
    }

    // Tools that publish no way of logging to them, and convert what is written.
    private static readonly Dictionary<string, string> Converters = new()
    {
        ["swanlab"] = "swanlab convert --type tensorboard --tb-log-dir RUN/runs", ["aim"] = "aim convert tensorboard --logdir RUN",
    };

    // transformers says `all`; jsonl is written in any case.
    private static List<string>? ReadReportTo(SettingValues values, Setting setting)
    {
        string[] known = [.. TrainingOptions.ReportKinds, "mlflow", "wandb"];
        var kinds = values.List(setting).Select(kind => kind.ToLowerInvariant()).Distinct().ToList();
        foreach (var kind in kinds.Where(kind => !known.Contains(kind) && kind is not ("jsonl" or "none" or "all")))
        {
            var near = Converters.TryGetValue(kind, out var command) ? $"; it reads TensorBoard's files: {command}"
                : DidYouMean.Nearest(kind, [.. known, "none"]) is { } word ? $"; did you mean '{word}'?" : "";
            values.Fault($"{values.Origin(setting)} '{kind}' is not one of {string.Join(", ", known)}, none{near}");
        }
        if (kinds.Contains("none") && kinds.Count > 1) values.Fault($"{values.Origin(setting)} says none and something else; keep one");
        return kinds.Contains("none") ? [] : [.. kinds.Contains("all") ? TrainingOptions.ReportKinds : kinds.Where(known.Contains)];
    }
}
