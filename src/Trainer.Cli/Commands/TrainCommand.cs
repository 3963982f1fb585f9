using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Distributed;
using Trainer.Training;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer train</c>: the main job.</summary>
internal static class TrainCommand
{
    public static readonly CommandSpec Spec = new("train", "Train a LoRA adapter.", Run)
    {
        Group = "Train",
        Description = "Trains a LoRA adapter on a frozen base model, 4-bit by default (QLoRA), and writes it as PEFT does.\nThe command line wins over the recipe, the recipe over the defaults. Options may be written --kebab-case or --snake_case.\nCtrl-C ends a run after its step with a checkpoint, and so does a file called STOP in its run folder; a file called SAVE asks for a checkpoint now.",
        Positional = "[RECIPE.yaml]",
        PositionalHelp = "Same as --config.",
        MaxPositionals = 1,
        Settings = [.. TrainSettings.All, CommonSettings.Json],
        Examples =
        [
            ("trainer train --model tiny --data demo --max-steps 200", "the embedded model on the embedded data, a minute on two cores"),
            ("trainer train --model meta-llama/Llama-3.2-1B --data chats.jsonl --output-dir runs/first", "a model from the Hugging Face cache on your own chats"),
            ("trainer train --config configs/tiny.yaml --lr 1e-4 --dry-run", "a recipe, one value changed, checked and printed"),
            ("trainer train --config runs/first/recipe.yaml --resume", "go on after a stop"),
        ],
    };

    private static int Run(Invocation invocation)
    {
        var values = WithRecipe(invocation);
        var options = TrainingOptionsReader.Read(values, invocation.Terminal, TimeProvider.System);
        if (values.Flag(RunSettings.DryRun) ?? false) RunPlanner.Check(options);
        if (values.Flag(RunSettings.DryRun) ?? false) return PrintRecipe(invocation, options);
        // Without what only this command says: the same recipe with --resume continues, without it refuses the folder that is taken.
        var recipe = EffectiveRecipe.Yaml(EffectiveRecipe.Entries(options with { Resume = null, AllowDrift = false, OverwriteOutputDirectory = false }));
        var ranks = Ranks.Join(options.Distributed);
        // The folder's name may hold the time, which rank 0's clock says.
        options = options with { OutputDirectory = ranks.Share(options.OutputDirectory) };
        return RankedRun.Run(invocation, ranks, options.OutputDirectory, () => ranks.Rank == 0 ? Lead(invocation, options, recipe, ranks) : Follow(invocation, options, ranks));
    }

    private static int Lead(Invocation invocation, TrainingOptions options, string recipe, ICollective ranks)
    {
        using var view = new RunView(invocation, $"trainer {options.Model}", options.OutputDirectory, recipe, options.ReportTo);
        if (ranks.Size > 1 && !invocation.Quiet) invocation.Terminal.Error.WriteLine(ranks.Description);
        var result = view.Run(() => TrainingRun.Run(options, view.Observers, () => SignalCode(invocation), invocation.Stop.Token, ranks));
        Tell(invocation, options, result, view.History);
        return ExitCode.Done;
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
        if (!invocation.Quiet)
        {
            var losses = history.Steps.Count > 0 ? $"loss {RunLines.Number(history.Steps[0].Loss, "0.0000")} -> {RunLines.Number(history.SmoothedLoss, "0.0000")}" : "no step";
            var held = last is null ? "" : first is null ? $", held-out {RunLines.Number(last.Value, "0.0000")}" : $", held-out {RunLines.Number(first.Value, "0.0000")} -> {RunLines.Number(last.Value, "0.0000")}";
            terminal.Error.WriteLine($"{losses}{held}; adapter in {result.AdapterDirectory}");
            terminal.Error.WriteLine($"try it: trainer generate --model {UserPath.Quoted(options.Model)} --adapter {UserPath.Quoted(result.AdapterDirectory)} --prompt '...'");
        }
        terminal.Out.WriteLine(result.AdapterDirectory);
    }

    /// <summary>The command line's values over those of the recipe it names.</summary>
    public static SettingValues WithRecipe(Invocation invocation)
    {
        var named = invocation.Values.Text(RunSettings.Config);
        if (named is not null && invocation.Positionals.Count > 0) throw new UsageException($"--config '{named}' and '{invocation.Positionals[0]}' are two recipes; keep one");
        var path = named ?? (invocation.Positionals.Count > 0 ? invocation.Positionals[0] : null);
        return path is null ? invocation.Values : invocation.Values.Over(RecipeFile.Read(path, TrainSettings.Recipe), Contradictions.Rivals);
    }

    private static int PrintRecipe(Invocation invocation, TrainingOptions options)
    {
        var entries = EffectiveRecipe.Entries(options);
        invocation.Terminal.Out.Write(invocation.Json
            ? JsonSerializer.Serialize(entries.ToDictionary(entry => entry.Key, entry => entry.Value), Json.Indented) + "\n"
            : EffectiveRecipe.Yaml(entries));
        return ExitCode.Done;
    }
}
