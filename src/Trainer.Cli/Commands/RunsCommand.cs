using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Cli.Reports;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer runs</c>: the runs of a folder, each with its state.</summary>
internal static class RunsCommand
{
    public static readonly CommandSpec Spec = new("runs", "List runs: state, steps, best loss, size, command.", Run)
    {
        Group = "Runs",
        Description = "Tells of each run folder below DIR whether it is running, done or stopped, how far it came, its lowest held-out loss (or its smoothed "
            + "loss), and what it takes on disk. The newest stands last.",
        Positional = "[DIR...]",
        PositionalHelp = "Folders that hold runs, or runs themselves; runs/ where none is named.",
        MaxPositionals = int.MaxValue,
        Settings = [CommonSettings.Json],
        Examples = [("trainer runs", ""), ("trainer runs experiments --json", "")],
    };

    /// <summary>The runs of these folders, the newest last.</summary>
    public static List<string> Find(IEnumerable<string> folders)
    {
        var found = new List<string>();
        foreach (var folder in folders)
        {
            if (!Directory.Exists(folder)) continue;
            if (RunStatus.IsRun(folder)) found.Add(folder);
            else found.AddRange(Directory.EnumerateDirectories(folder).Where(RunStatus.IsRun));
        }
        return [.. found.OrderBy(run => File.GetLastWriteTimeUtc(Path.Combine(run, "run.json")))];
    }

    private static int Run(Invocation invocation)
    {
        var folders = invocation.Positionals.Count > 0 ? invocation.Positionals : ["runs"];
        foreach (var folder in folders)
            if (invocation.Positionals.Count > 0 && !Directory.Exists(folder)) throw new UsageException($"'{folder}': no such folder");
        var rows = Find(folders).Select(run => (Status: RunStatus.Of(run), Facts: Facts(run), Bytes: Size(run))).ToList();
        var output = invocation.Terminal.Out;
        if (invocation.Json)
        {
            output.WriteLine(JsonSerializer.Serialize(
                rows.Select(row => new { folder = row.Status.Folder, state = row.Status.State, step = row.Status.Step, max_steps = row.Status.MaxSteps,
                reason = row.Status.Reason, loss = row.Facts, bytes = row.Bytes, command = row.Status.Command }), Json.Indented));
            return ExitCode.Done;
        }
        if (rows.Count == 0)
        {
            if (!invocation.Quiet) invocation.Terminal.Error.WriteLine($"no run in {string.Join(", ", folders)}");
            return ExitCode.Done;
        }
        var width = rows.Max(row => row.Status.Folder.Length);
        foreach (var (status, facts, bytes) in rows)
        {
            output.WriteLine($"{status.Folder.PadRight(width)}  {status.State,-7}  {$"{status.Step}/{status.MaxSteps}",-11}  {facts ?? "no loss yet",-28}  "
                + $"{Quantities.Bytes(bytes),9}");
            if (status.Command is { } command) output.WriteLine("  " + string.Concat(command.Where(letter => !char.IsControl(letter))));
            if (status.State == "stopped") output.WriteLine("  trainer resume " + ShellWord.Quote(status.Folder));
        }
        return ExitCode.Done;
    }

    private static string? Facts(string run)
    {
        try
        {
            var facts = RunReader.Read(run).Facts;
            return (facts.FirstOrDefault(fact => fact[0] == RunReader.BestHeldOut) ?? facts.FirstOrDefault(fact => fact[0] == RunReader.Loss)) is { } fact
                ? $"{fact[0]} {fact[1]}" : null;
        }
        catch (Exception fault) when (fault is CommandFailedException or BadFileException)
        {
            return null;
        }
    }

    private static long Size(string folder)
        => new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.LinkTarget is null ? file.Length : 0);
}
