using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Training;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer train</c>: the main job.</summary>
internal static class TrainCommand
{
    public static readonly CommandSpec Spec = new("train", "Train a LoRA adapter.", Run)
    {
        Group = "Train",
        Description = "Trains a LoRA adapter on a frozen base model, 4-bit by default (QLoRA), and writes it as PEFT does.\nThe command line wins over the recipe, the recipe over the defaults. Options may be written --kebab-case or --snake_case.",
        Positional = "[RECIPE.yaml]",
        PositionalHelp = "Same as --config.",
        MaxPositionals = 1,
        Settings = TrainSettings.All,
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
        var extras = RunExtras.Read(values);
        var options = TrainingOptionsReader.Read(values, invocation.Terminal, TimeProvider.System);
        if (values.Flag(RunSettings.DryRun) ?? false) return PrintRecipe(invocation, options, extras);
        throw new CommandFailedException(ExitCode.OurFault, "this build cannot train yet");
    }

    /// <summary>The command line's values over those of the recipe it names.</summary>
    public static SettingValues WithRecipe(Invocation invocation)
    {
        var named = invocation.Values.Text(RunSettings.Config);
        if (named is not null && invocation.Positionals.Count > 0) throw new UsageException($"--config '{named}' and '{invocation.Positionals[0]}' are two recipes; keep one");
        var path = named ?? (invocation.Positionals.Count > 0 ? invocation.Positionals[0] : null);
        return path is null ? invocation.Values : invocation.Values.Over(RecipeFile.Read(path, TrainSettings.Recipe), Contradictions.Rivals);
    }

    private static int PrintRecipe(Invocation invocation, TrainingOptions options, RunExtras extras)
    {
        var entries = EffectiveRecipe.Entries(options, extras);
        invocation.Terminal.Out.Write(invocation.Json
            ? System.Text.Json.JsonSerializer.Serialize(entries.ToDictionary(entry => entry.Key, entry => entry.Value), Json.Indented) + "\n"
            : EffectiveRecipe.Yaml(entries));
        return ExitCode.Done;
    }
}
