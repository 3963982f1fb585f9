using System.Text;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Importing;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer import</c>: a configuration of another tool as a recipe.</summary>
internal static class ImportCommand
{
    private static readonly Setting From = new("from", SettingKind.Choice, "Input", "The tool it was written for.")
    { Value = "TOOL", Choices = [.. Dialect.All.Select(dialect => dialect.Name)], DefaultNote = "seen from its keys" };

    public static readonly CommandSpec Spec = new("import", "Turn an axolotl, LLaMA-Factory, mlx-lm or TRL configuration into a recipe.", Run)
    {
        Group = "Recipes",
        Description = "Prints the recipe; every key that has no counterpart stands in it as a comment with the reason, and on stderr.",
        Positional = "FILE",
        PositionalHelp = "YAML or JSON configuration.",
        MaxPositionals = 1,
        Settings = [From, CommonSettings.Json],
        Examples = [("trainer import axolotl.yaml > recipe.yaml", ""), ("trainer train recipe.yaml --dry-run", "check it")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("no file; name the configuration to import");
        var named = invocation.Values.Word(From);
        invocation.Values.ThrowIfFaulty();
        var path = invocation.Positionals[0];
        var root = RecipeFile.Load(path) ?? throw new UsageException($"'{path}' is empty");
        var result = Importer.Import(root, Dialect.All.FirstOrDefault(dialect => dialect.Name == named) ?? Importer.Detect(root));
        if (invocation.Json)
        {
            var dropped = result.Dropped.Select(drop => new { drop.Key, drop.Value, drop.Reason });
            invocation.Terminal.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(new { from = result.Dialect, recipe = result.Entries.ToDictionary(entry => entry.Key, entry => entry.Value), dropped }, Json.Indented));
            return ExitCode.Done;
        }
        var text = new StringBuilder().AppendLine($"# from {result.Dialect} ({Path.GetFileName(path)})").Append(EffectiveRecipe.Yaml(result.Entries));
        if (result.Dropped.Count > 0) text.AppendLine("# not taken over:");
        foreach (var (key, value, reason) in result.Dropped) text.AppendLine($"#   {key}: {value.ReplaceLineEndings(" ")} ({reason})");
        invocation.Terminal.Out.Write(text);
        if (!invocation.Quiet)
            foreach (var (key, _, reason) in result.Dropped) invocation.Terminal.Error.WriteLine($"not taken over: {key} ({reason})");
        return ExitCode.Done;
    }
}
