using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Cli.Reports;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer report</c>: runs as a page and a picture.</summary>
internal static class ReportCommand
{
    private static readonly Setting Output = new("output", SettingKind.Text, "Output",
        "HTML file to write.") { Short = "-o", Value = "FILE", DefaultNote = "report.html of the run, or compare.html for several" };
    private static readonly Setting Png = new("png", SettingKind.Text, "Output", "Also draw a PNG.") { Value = "FILE" };

    public static readonly CommandSpec Spec = new("report", "Loss curves, rates and memory of runs as a self-contained page and PNG.", Run)
    {
        Group = "Runs",
        Positional = "RUN...",
        PositionalHelp = "Run folders, or folders that hold runs; several are compared.",
        MaxPositionals = int.MaxValue,
        Settings = [Output, Png, CommonSettings.Json],
        Examples = [("trainer report runs/a", ""), ("trainer report runs/a runs/b --output compare.html --png compare.png", "two runs in one picture")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("no run; name a run folder, such as runs/tiny-20250101-120000");
        var named = invocation.Positionals.SelectMany(folder => RunStatus.IsRun(folder) || File.Exists(Path.Combine(folder, "metrics.jsonl"))
            ? [folder] : RunsCommand.Find([folder]) is { Count: > 0 } below ? below : [folder]).ToList();
        var runs = named.Select(directory => RunReader.Read(directory, named.Count(other => Name(other) == Name(directory)) > 1 ? directory : null)).ToList();
        var html = invocation.Values.Text(Output) ?? (runs.Count == 1 ? Path.Combine(named[0], "report.html") : "compare.html");
        var png = invocation.Values.Text(Png);
        invocation.Values.ThrowIfFaulty();
        File.WriteAllText(html, ReportPage.Write(runs,
            isUnfinished: runs.Count == 1 && RunStatus.IsRun(named[0]) && RunStatus.Of(named[0]).State == "running"));
        if (png is not null) ReportPicture.Save(runs, png);
        var output = invocation.Terminal.Out;
        if (invocation.Json)
            output.WriteLine(System.Text.Json.JsonSerializer.Serialize(new { html, png,
                runs = runs.Select(run => new { run.Name, facts = run.Facts.ToDictionary(fact => fact[0], fact => fact[1]) }) }, Json.Indented));
        else output.WriteLine(png is null ? html : $"{html}\n{png}");
        return ExitCode.Done;
    }

    private static string Name(string directory) => Path.GetFileName(Path.GetFullPath(directory).TrimEnd('/'));
}
