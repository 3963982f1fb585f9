using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>A run on a terminal: <c>script</c> gives it one.</summary>
[Trait("ring", "smoke")]
public sealed partial class LivePanelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [GeneratedRegex("\u001b\\[[0-9;?]*[A-Za-z]")]
    private static partial Regex Escape();

    /// <summary>What the terminal got of a run of two steps.</summary>
    private string OnTerminal(int columns, params string[] environment)
    {
        Skip.IfNot(File.Exists("/usr/bin/script") && File.Exists("/usr/bin/stty"), "needs script(1) and stty(1)");
        var data = _folder.File("rows.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => $"{{\"input_ids\":[{i},4,5,6,7,8]}}\n")));
        var model = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        var program = TrainerProgram.Start(new ProgramRun("--version"));
        program.WaitForExit();
        string[] words = [program.StartInfo.FileName, TrainerProgram.FilePath, "train", "--model", model, "--data", data, "--max-steps", "2", "--gradient-accumulation-steps", "1", "--eval-data", data, "--eval-steps", "1",
            "--allow-high-loss", "--report-to", "none", "--output-dir", Path.Combine(_folder.Path, "run")];
        var start = new ProcessStartInfo("/usr/bin/script") { RedirectStandardOutput = true, RedirectStandardInput = true, WorkingDirectory = _folder.Path };
        foreach (var word in new[] { "-qec", $"stty cols {columns} rows 24; {string.Join(' ', words)}", "/dev/null" }) start.ArgumentList.Add(word);
        foreach (var name in new[] { "CI", "NO_COLOR", "COLUMNS", "TERM", "LC_ALL", "LC_CTYPE", "LANG" }) start.Environment.Remove(name);
        start.Environment["OMP_NUM_THREADS"] = "1";
        foreach (var pair in environment) start.Environment[pair.Split('=')[0]] = pair.Split('=')[1];
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output);
        return output;
    }

    [SkippableFact]
    public void The_panel_fits_forty_columns_and_has_no_colour_where_none_is_wanted()
    {
        var output = OnTerminal(40, "TERM=xterm-256color", "NO_COLOR=1", "LC_ALL=C.UTF-8");
        Assert.Contains("╭", output, StringComparison.Ordinal);
        Assert.Contains("step 2/2", output, StringComparison.Ordinal);
        Assert.DoesNotMatch("\u001b\\[[0-9;]*m", output);
        var panel = Escape().Replace(output, "").Split('\n', '\r').Where(line => line.StartsWith('│') || line.StartsWith('╭')).ToList();
        Assert.Contains(panel, line => line.Contains("llama31", StringComparison.Ordinal));
        Assert.All(panel, line => Assert.True(line.Length <= 40, $"{line.Length}: {line}"));
    }

    [SkippableFact]
    public void A_dumb_terminal_gets_plain_lines()
    {
        var output = OnTerminal(80, "TERM=dumb");
        Assert.DoesNotContain('\u001b', output);
        Assert.DoesNotContain('╭', output);
        Assert.Contains("step 2/2 loss", output, StringComparison.Ordinal);
    }
}
