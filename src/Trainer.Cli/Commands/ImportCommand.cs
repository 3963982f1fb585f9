using System.Text;
using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Importing;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer import</c>: a configuration of another tool as a recipe.</summary>
internal static class ImportCommand
{
    private static readonly Setting From = new("from", SettingKind.Choice, "Input", "The tool it was written for.")
    { Value = "TOOL", Choices = [.. Dialect.All.Select(dialect => dialect.Name)], DefaultNote = "seen from its keys" };

    private static readonly Setting Accept = new("accept", SettingKind.List, "Input",
        "Keys without which you want the recipe all the same, though it is then another job; 'all' for all of them.") { Value = "KEYS" };

    public static readonly CommandSpec Spec = new("import",
        "Turn an axolotl, LLaMA-Factory, mlx-lm, torchtune, TRL or Unsloth configuration into a recipe.", Run)
    {
        Group = "Recipes",
        Description = "Prints the recipe. Every key that changes nothing here stands in it as a comment with the reason, and on stderr. " +
            "A key without which this would be another job stops the import with exit code 2, unless --accept names it. Where the tool would do something "
            + "else than trainer by default, " +
            "its default is written out. What is missing for a run, such as a data set that lies on a hub, is said first.",
        Positional = "FILE",
        PositionalHelp = "YAML or JSON configuration.",
        MaxPositionals = 1,
        Settings = [From, Accept, CommonSettings.Json],
        Examples = [("trainer import axolotl.yaml > recipe.yaml", ""), ("trainer train recipe.yaml --dry-run", "check it")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("no file; name the configuration to import");
        var named = invocation.Values.Word(From);
        var accepted = invocation.Values.List(Accept);
        invocation.Values.ThrowIfFaulty();
        var path = invocation.Positionals[0];
        var root = RecipeYaml.Load(path) ?? throw new UsageException($"'{path}' is empty");
        var result = Importer.Import(root, Dialect.All.FirstOrDefault(dialect => dialect.Name == named) ?? Tools.Detect(root));
        bool IsAccepted(ImportedKey key) => accepted.Contains("all") || accepted.Contains(key.Key) || accepted.Contains(key.Key.Split('.')[0]);
        var refused = result.Changed.Where(key => !IsAccepted(key)).ToList();
        if (invocation.Json) WriteJson(invocation, result, refused);
        if (refused.Count > 0)
        {
            var faults = refused.Select(key => $"{key.Key}: {Short(key.Value)} ({path}): {key.Reason}").ToList();
            faults.Add($"the recipe would be another job than this {result.Dialect} configuration; change these keys, or take it with "
                + $"--accept {string.Join(',', refused.Select(key => key.Key.Split('.')[0]).Distinct())}");
            throw new UsageException(faults);
        }
        if (invocation.Json) return ExitCode.Done;
        var left = result.Changed.Select(key => key with { Reason = key.Reason + "; accepted" }).Concat(result.Dropped).ToList();
        var text = new StringBuilder().AppendLine($"# from {result.Dialect} ({Path.GetFileName(path)})");
        foreach (var fault in result.Missing) text.AppendLine($"# not ready: {fault.ReplaceLineEndings(" ")}");
        foreach (var entry in result.Entries) text.Append(Line(entry, result));
        if (left.Count > 0) text.AppendLine("# not taken over:");
        foreach (var (key, value, reason) in left) text.AppendLine($"#   {key}: {value.ReplaceLineEndings(" ")} ({reason})");
        invocation.Terminal.Out.Write(text);
        if (!invocation.Quiet)
        {
            foreach (var same in left.GroupBy(key => key.Reason))
                invocation.Terminal.Error.WriteLine($"not taken over: {string.Join(", ", same.Select(key => key.Key).Distinct())} ({same.Key})");
            foreach (var fault in result.Missing) invocation.Terminal.Error.WriteLine($"not ready: {fault}");
        }
        return ExitCode.Done;
    }

    private static void WriteJson(Invocation invocation, ImportResult result, List<ImportedKey> refused)
    {
        var answer = new
        {
            from = result.Dialect,
            ready = result.Missing.Count == 0 && refused.Count == 0,
            missing = result.Missing,
            recipe = result.Entries.ToDictionary(entry => entry.Key, entry => entry.Value),
            defaults = result.Defaults,
            dropped = result.Dropped,
            changes_the_job = result.Changed,
        };
        invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(answer, Json.Indented));
    }

    private static string Short(string value) => value.ReplaceLineEndings(" ") is { Length: > 80 } text ? text[..77] + "..." : value;

    /// <summary>One key of the recipe; one that the configuration does not name says whose default it is.</summary>
    private static string Line(KeyValuePair<string, object> entry, ImportResult result)
    {
        var yaml = EffectiveRecipe.Yaml([entry]);
        return result.Defaults.Contains(entry.Key) ? yaml.Insert(yaml.IndexOf('\n', StringComparison.Ordinal), $"  # default of {result.Dialect}") : yaml;
    }
}
