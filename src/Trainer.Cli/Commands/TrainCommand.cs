using System.Globalization;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Cli.Reports;
using Trainer.Cli.Reports.Wandb;
using Trainer.Distributed;
using Trainer.Hub;
using Trainer.Hub.Mlflow;
using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.State;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer train</c>: the main job.</summary>
internal static class TrainCommand
{
    public static readonly CommandSpec Spec = new("train", "Train a LoRA adapter.", Run)
    {
        Group = "Train",
        Description = "Trains a LoRA adapter on a frozen base model, 4-bit by default (QLoRA), and writes it as PEFT does.\nThe command line wins over the "
            + "recipe, the recipe over the defaults. Options may be written --kebab-case or --snake_case.\nCtrl-C ends a run after its step with a "
            + "checkpoint, and so does a file called STOP in its run folder; a file called SAVE asks for a checkpoint now.",
        Positional = "[RECIPE.yaml]",
        PositionalHelp = "Same as --config.",
        MaxPositionals = 1,
        Settings = [.. TrainSettings.All, CommonSettings.Libtorch, CommonSettings.Json],
        Examples =
        [
            ("trainer train --model tiny --data demo --max-steps 200", "the embedded model on the embedded data, a minute on two cores"),
            ("trainer train --model meta-llama/Llama-3.2-1B --data chats.jsonl --output-dir runs/first",
                "a model from the Hugging Face cache on your own chats"),
            ("trainer train --config configs/tiny.yaml --lr 1e-4 --dry-run", "a recipe, one value changed, checked and printed"),
            ("trainer train --resume runs/first", "go on after a stop; the same as trainer resume runs/first"),
        ],
    };

    internal static int Run(Invocation invocation)
    {
        var values = WithRecipe(invocation);
        var options = TrainingOptionsReader.Read(values, invocation.Terminal,
            TimeProvider.System) with { Command = ShellWord.Line(["trainer", .. Environment.GetCommandLineArgs().Skip(1)]) };
        var mlflow = Mlflow(values, options);
        if (values.Flag(RunSettings.DryRun) ?? false) return DryRun(invocation, options);
        // Without what only this command says: the same recipe with --resume continues, without it refuses the folder that is taken.
        var recipe = EffectiveRecipe.Yaml(EffectiveRecipe.Entries(options with { Resume = null, AllowDrift = false, OverwriteOutputDirectory = false }));
        var ranks = Ranks.Join(options.Distributed, reason => invocation.Terminal.Error.WriteLine("error: " + reason));
        // The folder's name may hold the time, which rank 0's clock says.
        options = options with { OutputDirectory = ranks.Share(options.OutputDirectory) };
        return RankedRun.Run(invocation, ranks, options.OutputDirectory,
            () => ranks.Rank == 0 ? Lead(invocation, options, recipe, ranks, mlflow) : Follow(invocation, options, ranks));
    }

    private static int Lead(Invocation invocation, TrainingOptions options, string recipe, ICollective ranks, MlflowOptions? mlflow)
    {
        using var view = new RunView(invocation, $"trainer {options.Model}", options.OutputDirectory, recipe, options.ReportTo);
        if (mlflow is not null)
            view.Add(new MlflowWriter(mlflow, options.OutputDirectory,
                [.. EffectiveRecipe.Entries(options).Select(entry => KeyValuePair.Create(entry.Key,
                entry.Value as string ?? JsonSerializer.Serialize(entry.Value, Json.Compact)))], TimeProvider.System,
                fault => invocation.Terminal.Error.WriteLine("warning: " + fault)));
        if (options.ReportTo.Contains("wandb"))
            view.Add(new WandbWriter(options.OutputDirectory, WandbNames.OfEnvironment(), EffectiveRecipe.Entries(options), TimeProvider.System));
        if (ranks.Size > 1 && !invocation.Quiet) invocation.Terminal.Error.WriteLine(ranks.Description);
        var result = Finished(invocation, options,
            () => view.Run(() => TrainingRun.Run(options, view.Observers, () => SignalCode(invocation), invocation.Stop.Token, ranks)));
        Tell(invocation, options, result, view.History);
        return ExitCode.Done;
    }

    // A run that is to be logged is not begun where nobody is named to log to; a server that is away is another matter.
    private static MlflowOptions? Mlflow(SettingValues values, TrainingOptions options)
    {
        if (!options.ReportTo.Contains("mlflow"))
            return values.Has(RunSettings.MlflowUri)
                ? throw new UsageException($"{values.Origin(RunSettings.MlflowUri)} has a meaning with --report-to mlflow alone; add it, or drop this") : null;
        try
        {
            return MlflowOptions.Read(values.Text(RunSettings.MlflowUri));
        }
        catch (NotAvailableException fault)
        {
            throw new UsageException($"--report-to mlflow: {fault.Message}");
        }
    }

    // Rank 0 alone writes, logs and draws.
    private static int Follow(Invocation invocation, TrainingOptions options, ICollective ranks)
    {
        invocation.Stop.MustFinish = true;
        invocation.Stop.Watch("");
        TrainingRun.Run(options, [], () => SignalCode(invocation), invocation.Stop.Token, ranks);
        return ExitCode.Done;
    }

    private static int SignalCode(Invocation invocation) => invocation.Stop.ExitCode ?? ExitCode.Interrupted;

    private static TrainingResult Finished(Invocation invocation, TrainingOptions options, Func<TrainingResult> run)
    {
        try
        {
            var result = run();
            FinishCommand.Run(options.OnFinish, options.OutputDirectory, "done", result.Reason, ExitCode.Done, invocation.Terminal);
            return result;
        }
        catch (Exception fault)
        {
            var state = fault is RunInterruptedException ? "interrupted" : "failed";
            FinishCommand.Run(options.OnFinish, options.OutputDirectory, state, fault.Message, Failure.CodeOf(fault), invocation.Terminal);
            throw;
        }
    }

    private static void Tell(Invocation invocation, TrainingOptions options, TrainingResult result, RunHistory history)
    {
        var terminal = invocation.Terminal;
        var first = history.Evals.Count > 1 ? history.Evals[0].EvalLoss : (double?)null;
        var last = history.Evals.Count > 0 ? history.Evals[^1].EvalLoss : (double?)null;
        if (invocation.Json)
        {
            terminal.Out.WriteLine(JsonSerializer.Serialize(new
            {
                output_dir = result.AdapterDirectory,
                steps = result.Steps,
                reason = result.Reason,
                train_loss = Json.Finite(result.TrainLoss),
                first_eval_loss = first,
                eval_loss = last,
                best_eval_loss = result.BestEvalLoss,
                adapter_sha256 = result.AdapterSha256,
            }, Json.Indented));
            return;
        }
        if (!invocation.Quiet) Summary(terminal, options, result);
        terminal.Out.WriteLine(result.AdapterDirectory);
    }

    /// <summary>What came out, which adapter it is, and where everything lies.</summary>
    private static void Summary(Terminal terminal, TrainingOptions options, TrainingResult result)
    {
        var folder = result.AdapterDirectory;
        var evals = Losses(terminal, folder);
        terminal.Error.WriteLine($"adapter      {folder} ({Kept(result, evals)})");
        if (File.Exists(Path.Combine(folder, "report.html"))) terminal.Error.WriteLine($"report       {Path.Combine(folder, "report.html")}");
        if (options.ReportTo.Contains("wandb"))
            terminal.Error.WriteLine($"W&B          wandb sync {ShellWord.Quote(WandbWriter.FolderOf(folder))}/{CurveFiles.WandbRun}*");
        if (options.ReportTo.Contains("tensorboard")) terminal.Error.WriteLine($"tensorboard  {Path.Combine(folder, CurveFiles.EventsFolder)}");
        terminal.Error.WriteLine($"try it       {ShellWord.Line(["trainer", "chat", folder])}");
    }

    /// <summary>How the losses went; the held-out ones are the answer.</summary>
    private static IReadOnlyList<double[]> Losses(Terminal terminal, string folder)
    {
        ReportRun rows;
        try
        {
            // From the rows on disk, as the report has them: a resumed run's earlier part is among them.
            rows = RunReader.Read(folder);
        }
        catch (Exception fault) when (fault is CommandFailedException or BadFileException)
        {
            // The adapter is written: a row of an earlier part that was damaged does not undo it.
            terminal.Error.WriteLine($"warning: the losses cannot be shown: {fault.Message}");
            return [];
        }
        var losses = rows.Steps.Count > 0
            ? $"loss {RunLines.Number(rows.Steps[0][1], "0.0000")} -> {RunReader.Smoothed(rows.Steps).ToString("0.0000", CultureInfo.InvariantCulture)}"
                + " (smoothed)" : "no step";
        var evals = rows.Evals;
        if (evals.Count > 0)
            losses += ", held-out " + string.Join(" -> ",
                evals.Where((_, at) => at == 0 || at == evals.Count - 1).Select(row => RunLines.Number(row[1], "0.0000")));
        terminal.Error.WriteLine(losses);
        if (evals.Count > 1 && evals[0][0] == 0 && !(evals[^1][1] < evals[0][1]))
            terminal.Error.WriteLine("warning: held-out loss is no lower than that of the base: this adapter has learnt nothing that helps there; a lower "
                + "--learning-rate or fewer steps may");
        return evals;
    }

    // Early stopping takes the best evaluation's adapter, and says so in its reason.
    private static string Kept(TrainingResult result, IReadOnlyList<double[]> evals)
    {
        var at = result.Reason.IndexOf("the adapter is that of step", StringComparison.Ordinal);
        if (at >= 0) return result.Reason[(at + "the adapter is ".Length)..] + ", the best on held-out rows";
        var last = $"that of step {result.Steps}, the last";
        return evals.MinBy(row => row[1]) is { } best && best[0] > 0 && (int)best[0] != result.Steps
            ? $"{last}; held-out loss was lowest at step {best[0]:0}" : last;
    }

    /// <summary>The command line's values over those of the recipe it names, which may be that of the run that is resumed.</summary>
    public static SettingValues WithRecipe(Invocation invocation)
    {
        var values = invocation.Values;
        var named = values.Text(RunSettings.Config);
        if (named is not null && invocation.Positionals.Count > 0)
            throw new UsageException($"--config '{named}' and '{invocation.Positionals[0]}' are two recipes; keep one");
        var path = named ?? (invocation.Positionals.Count > 0 ? invocation.Positionals[0] : null);
        if (path is null && values.Text(RunSettings.Resume) is { } resumed && Directory.Exists(resumed))
        {
            var run = RunFolders.RunOf(resumed);
            var recipe = Path.Combine(run, RunFolders.Recipe);
            if (!File.Exists(recipe)) return values;
            path = recipe;
            // The folder may have been moved since its recipe was written.
            if (!values.Has(RunSettings.OutputDirectory)) values = values.With(RunSettings.OutputDirectory, run);
        }
        return path is null ? values : values.Over(RecipeFile.Read(path, TrainSettings.Recipe), Contradictions.Rivals);
    }

    private static int DryRun(Invocation invocation, TrainingOptions options)
    {
        PrintRecipe(invocation, options);
        using var view = new RunView(invocation, $"check {options.Model}", null, "", []);
        var plan = view.Run(() => TrainingRun.Check(options, view.Observers, invocation.Stop.Token));
        if (!invocation.Quiet) invocation.Terminal.Error.WriteLine($"checked: options, run folder, data, model; {plan.Verdict}; nothing was written");
        return ExitCode.Done;
    }

    private static void PrintRecipe(Invocation invocation, TrainingOptions options)
    {
        var entries = EffectiveRecipe.Entries(options);
        invocation.Terminal.Out.Write(invocation.Json
            ? JsonSerializer.Serialize(entries.ToDictionary(entry => entry.Key, entry => entry.Value), Json.Indented) + "\n"
            : EffectiveRecipe.Yaml(entries));
        invocation.Terminal.Out.Flush();
    }
}
