using System.Globalization;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Options;
using Trainer.Hub;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer init</c>: five questions and a recipe.</summary>
internal static class InitCommand
{
    private static readonly Setting Output = new("output", SettingKind.Text, "Output",
        "File to write.") { Short = "-o", Value = "FILE", Default = "recipe.yaml" };
    private static readonly Setting Yes = new("yes", SettingKind.Flag, "Output",
        "Ask nothing: take what is proposed, or what the options say.") { Short = "-y" };

    public static readonly CommandSpec Spec = new("init", "Ask five questions and write a recipe.", Run)
    {
        Group = "Recipes",
        Description = "Asks for model, data, length, steps and run folder, each with a proposal that Enter takes. What an option names already is not asked. "
            + "An existing file is not written over.",
        Settings = [ModelSettings.Model, DataSettings.Data, DataSettings.MaxSeqLength, StepSettings.Epochs, RunSettings.OutputDirectory with { Short = null },
            Output, Yes],
        Examples = [("trainer init", ""), ("trainer init --model tiny --data demo --yes", "the same without questions")],
    };

    private static int Run(Invocation invocation)
    {
        var values = invocation.Values;
        var path = values.Text(Output) ?? "recipe.yaml";
        var ask = !(values.Flag(Yes) ?? false);
        values.ThrowIfFaulty();
        if (File.Exists(path)) throw new UsageException($"'{path}' is there already; name another with --output");
        var model = Answer(invocation, ask, ModelSettings.Model, $"Model: a folder, a hub id, or tiny{Known()}", "tiny");
        var data = Answer(invocation, ask, DataSettings.Data, "Training data: a file or folder of .jsonl, .json, .csv, .parquet or .txt, or demo",
            model == "tiny" ? "demo" : "data/train.jsonl");
        var length = Answer(invocation, ask, DataSettings.MaxSeqLength, "Longest row in tokens; longer ones are left out and counted",
            Positions(model).ToString(CultureInfo.InvariantCulture));
        var epochs = Answer(invocation, ask, StepSettings.Epochs, "Passes over the data", "1");
        var output = Answer(invocation, ask, RunSettings.OutputDirectory, "Run folder",
            Path.Combine("runs", Path.GetFileName(Path.TrimEndingDirectorySeparator(model))));
        var checkedValues = new SettingValues(new Dictionary<string, SettingValue>());
        checkedValues = checkedValues.With(DataSettings.MaxSeqLength, length).With(StepSettings.Epochs, epochs);
        var (tokens, passes) = (checkedValues.Integer(DataSettings.MaxSeqLength), checkedValues.Number(StepSettings.Epochs));
        checkedValues.ThrowIfFaulty();
        KeyValuePair<string, object>[] entries =
        [
            new(ModelSettings.Model.Key, model), new(DataSettings.Data.Key, new List<object> { data }), new(DataSettings.EvalSplit.Key, 0.05),
            new(DataSettings.MaxSeqLength.Key, tokens!),
            new(DataSettings.OnTooLong.Key, "drop"), new(StepSettings.Epochs.Key, passes!), new(StepSettings.BatchSize.Key, 1),
            new(StepSettings.Accumulation.Key, 8), new(RunSettings.OutputDirectory.Key, output),
        ];
        var settings = TrainSettings.Recipe.ToDictionary(setting => setting.Key);
        var text = string.Concat(entries.Select(entry => $"# {settings[entry.Key].Help}\n{EffectiveRecipe.Yaml([entry])}"));
        Checkpoints.Atomic.AtomicFile.WriteText(path, $"# Written by 'trainer init'; 'trainer train --help' tells every other key.\n{text}");
        var line = ShellWord.Quote(path);
        invocation.Terminal.Out.WriteLine(path);
        if (!invocation.Quiet) invocation.Terminal.Error.WriteLine($"check it: trainer train {line} --dry-run\nrun it:   trainer train {line}");
        return ExitCode.Done;
    }

    private static string Answer(Invocation invocation, bool ask, Setting setting, string question, string proposal)
    {
        if (invocation.Values.Items(setting) is [var first, ..]) return first.Text;
        if (!ask) return proposal;
        invocation.Terminal.Error.Write($"{question} [{proposal}]: ");
        invocation.Terminal.Error.Flush();
        return Console.In.ReadLine()?.Trim() is { Length: > 0 } answer ? answer : proposal;
    }

    private static string Known()
    {
        var models = new HubCache(HubOptions.FromEnvironment().CacheFolder).Models().Select(model => model.ToString()!).Take(4).ToList();
        return models.Count == 0 ? "" : $" (here: {string.Join(", ", models)})";
    }

    private static int Positions(string model) =>
        ModelReference.Find(model, needsWeights: false).Directory is { } folder && ModelPositions.Of(folder) is { } positions
        ? Math.Min(positions, 2048) : 2048;
}
