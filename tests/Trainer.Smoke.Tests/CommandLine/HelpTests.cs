using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>
/// Help of every command; the documents in src/Trainer.Cli/docs are these very texts, so they cannot drift.
/// UPDATE_SNAPSHOTS=1 writes them anew.
/// </summary>
[Trait("ring", "smoke")]
public sealed partial class HelpTests
{
    private static readonly string Documents = Path.Combine(TrainerProgram.Repository, "src", "Trainer.Cli", "docs");

    private static string Help(string command, int columns) =>
        TrainerProgram.RunWarm(new ProgramRun([.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        "--help"]) { Environment = new Dictionary<string, string> { ["COLUMNS"] = $"{columns}" } }).Output;

    private static List<string> Commands() =>
        [.. CommandLine().Matches(Help("", 100)).Select(match => match.Groups[1].Value).SelectMany(name => name == "data"
        ? ["data show", "data check"] : new[] { name })];

    [GeneratedRegex("^  ([a-z]+) {2,}[A-Z]", RegexOptions.Multiline)]
    private static partial Regex CommandLine();

    [Fact]
    public void Every_command_is_documented_by_its_help()
    {
        var isUpdate = Environment.GetEnvironmentVariable("UPDATE_SNAPSHOTS") == "1";
        var commands = Commands();
        Assert.True(commands.Count >= 10, string.Join(' ', commands));
        var texts = new Dictionary<string, string>();
        Parallel.ForEach(commands.Append(""), new ParallelOptions { MaxDegreeOfParallelism = 2 }, command =>
        {
            var name = command.Length == 0 ? "trainer" : command.Replace(' ', '-');
            var text = $"# trainer {command}".TrimEnd() + "\n\n```\n" + Help(command, 100).TrimEnd() + "\n```\n";
            lock (texts) texts[name + ".md"] = text;
        });
        if (isUpdate)
        {
            if (Directory.Exists(Documents)) Directory.Delete(Documents, true);
            Directory.CreateDirectory(Documents);
            foreach (var (name, text) in texts) File.WriteAllText(Path.Combine(Documents, name), text);
        }
        Assert.Equal(texts.Keys.Order(StringComparer.Ordinal),
            Directory.EnumerateFiles(Documents).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        Assert.All(texts, text => Assert.Equal(File.ReadAllText(Path.Combine(Documents, text.Key)), text.Value));
    }

    [Fact]
    public void Help_fits_forty_columns()
    {
        // An example is one line to paste and is not broken.
        var lines = Help("train", 40).Split('\n')
            .Where(line => !line.StartsWith("  trainer", StringComparison.Ordinal) && !line.StartsWith("Usage", StringComparison.Ordinal)).ToList();
        Assert.DoesNotContain(lines, line => line.Length > 40 && line.Trim().Contains(' ') && !line.Trim().StartsWith("--", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Help_needs_no_libtorch()
    {
        using var process = TrainerProgram.Start(new ProgramRun("train", "--help") { Environment = new Dictionary<string, string> { ["LD_DEBUG"] = "files" } });
        var output = process.StandardOutput.ReadToEndAsync();
        var loaded = await process.StandardError.ReadToEndAsync();
        process.End();
        Assert.Contains("--lora-rank", await output, StringComparison.Ordinal);
        Assert.DoesNotContain("libtorch", loaded, StringComparison.Ordinal);
        Assert.Contains("libcoreclr", loaded, StringComparison.Ordinal);
    }
}
