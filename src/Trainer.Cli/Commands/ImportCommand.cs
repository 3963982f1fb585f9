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
        Description = "Prints the recipe; every key that has no counterpart stands in it as a comment with the reason, and on stderr. Where the tool would do something else than trainer by default, its default is written out. What is missing for a run, such as a data set that lies on a hub, is said first.",
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
            invocation.Terminal.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(new { from = result.Dialect, ready = result.Missing.Count == 0, missing = result.Missing, recipe = result.Entries.ToDictionary(entry => entry.Key, entry => entry.Value), defaults = result.Defaults, dropped }, Json.Indented));
            return ExitCode.Done;
        }
        var text = new StringBuilder().AppendLine($"# from {result.Dialect} ({Path.GetFileName(path)})");
        foreach (var fault in result.Missing) text.AppendLine($"# not ready: {fault}");
        foreach (var entry in result.Entries) text.Append(Line(entry, result));
        if (result.Dropped.Count > 0) text.AppendLine("# not taken over:");
        foreach (var (key, value, reason) in result.Dropped) text.AppendLine($"#   {key}: {value.ReplaceLineEndings(" ")} ({reason})");
        invocation.Terminal.Out.Write(text);
        if (!invocation.Quiet)
        {
            foreach (var (key, _, reason) in result.Dropped) invocation.Terminal.Error.WriteLine($"not taken over: {key} ({reason})");
            foreach (var fault in result.Missing) invocation.Terminal.Error.WriteLine($"not ready: {fault}");
        }
        return ExitCode.Done;
    }

    /// <summary>One key of the recipe; one that the configuration does not name says whose default it is.</summary>
    private static string Line(KeyValuePair<string, object> entry, ImportResult result)
    {
        var yaml = EffectiveRecipe.Yaml([entry]);
        return result.Defaults.Contains(entry.Key) ? yaml.Insert(yaml.IndexOf('\n', StringComparison.Ordinal), $"  # default of {result.Dialect}") : yaml;
    }
}
