using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>A run on a terminal: <c>script</c> gives it one.</summary>
[Trait("ring", "smoke")]
public sealed class LivePanelTests : IDisposable
{
    private const string Interrupt = "\u0003";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>What the terminal got of a run of two steps.</summary>
    private string TwoSteps(int columns, params string[] environment)
    {
        var data = _folder.File("rows.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => $"{{\"input_ids\":[{i},4,5,6,7,8]}}\n")));
        var model = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        return OnTerminal(columns, 0, null, environment, "--model", model, "--data", data, "--max-steps", "2", "--gradient-accumulation-steps", "1",
            "--eval-data", _folder.File("held.jsonl", "{\"input_ids\":[1,4,5,6,7,9]}\n"), "--eval-steps", "1", "--allow-high-loss");
    }

    /// <summary>What the terminal got of a run; as soon as <paramref name="cue"/> is seen, Ctrl-C is typed. A run that does not end is ended.</summary>
    private string OnTerminal(int columns, int exitCode, Regex? cue, string[] environment, params string[] options)
    {
        Skip.IfNot(File.Exists("/usr/bin/script") && File.Exists("/usr/bin/stty"), "needs script(1) and stty(1)");
        var program = TrainerProgram.Start(new ProgramRun("--version"));
        program.End();
        string[] words = [program.StartInfo.FileName, TrainerProgram.FilePath, "train", .. options, "--report-to", "none", "--output-dir",
            Path.Combine(_folder.Path, "run")];
        var start = new ProcessStartInfo("/usr/bin/script") { RedirectStandardOutput = true, RedirectStandardInput = true, WorkingDirectory = _folder.Path,
            StandardOutputEncoding = Encoding.UTF8 };
        foreach (var word in new[] { "-qec", $"stty cols {columns} rows 24; exec {string.Join(' ', words)}", "/dev/null" }) start.ArgumentList.Add(word);
        foreach (var name in new[] { "CI", "NO_COLOR", "COLUMNS", "TERM", "LC_ALL", "LC_CTYPE", "LANG" }) start.Environment.Remove(name);
        start.Environment["OMP_NUM_THREADS"] = "1";
        foreach (var pair in environment) start.Environment[pair.Split('=')[0]] = pair.Split('=')[1];
        using var process = Process.Start(start)!;
        using var limit = new Timer(_ => process.Kill(entireProcessTree: true), null, TimeSpan.FromSeconds(120), Timeout.InfiniteTimeSpan);
        var (output, buffer) = (new StringBuilder(), new char[4096]);
        if (cue is null) process.StandardInput.Close();
        for (int got; (got = process.StandardOutput.Read(buffer)) > 0;)
        {
            output.Append(buffer, 0, got);
            if (cue is null || !cue.IsMatch(output.ToString())) continue;
            process.StandardInput.Write(Interrupt);
            process.StandardInput.Flush();
            cue = null;
        }
        process.End();
        Assert.True(process.ExitCode == exitCode, output.ToString());
        return output.ToString();
    }

    [SkippableFact]
    public void The_panel_fits_forty_columns_and_has_no_colour_where_none_is_wanted()
    {
        var output = TwoSteps(40, "TERM=xterm-256color", "NO_COLOR=1", "LC_ALL=C.UTF-8");
        Assert.DoesNotMatch("\u001b\\[[0-9;]*m", output);
        var panel = Screen.Show(output, 40).SkipWhile(line => !line.StartsWith('╭')).ToList();
        Assert.Contains("llama31", panel[0], StringComparison.Ordinal);
        Assert.StartsWith("│ step 2/2 ", panel[1], StringComparison.Ordinal);
        var end = panel.FindIndex(line => line.StartsWith('╰'));
        Assert.All(panel[..end], line => Assert.True(line.Length == 40 && line[^1] is '│' or '╮', line));
        Assert.DoesNotContain(panel[end..], line => line.Contains('╭'));
    }

    [SkippableFact]
    public void A_terminal_without_unicode_gets_a_panel_in_ascii()
    {
        var output = TwoSteps(80, "TERM=xterm", "LC_ALL=C");
        Assert.DoesNotContain(output, letter => letter > 127);
        Assert.Contains(Screen.Show(output, 80), line => line.StartsWith("| step 2/2 ####", StringComparison.Ordinal));
    }

    [SkippableFact]
    public void A_dumb_terminal_gets_plain_lines()
    {
        var output = TwoSteps(80, "TERM=dumb");
        Assert.DoesNotContain('\u001b', output);
        Assert.DoesNotContain('╭', output);
        Assert.Contains("step 2/2 loss", output, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData(100)]
    [InlineData(50)]
    [Trait("ring", "slow")]
    public void An_interrupted_run_leaves_its_answer_and_one_whole_panel(int columns)
    {
        var output = OnTerminal(columns, 130, new Regex("step [1-9][0-9]*/"), ["TERM=xterm-256color", "LC_ALL=C.UTF-8"], "--model", "tiny", "--data", "demo",
            "--max-steps", "100000", "--logging-steps", "1");
        var screen = Screen.Show(output, columns);
        Assert.Single(screen, line => line.StartsWith('╭'));
        Assert.Single(screen, line => line.StartsWith('╰'));
        // The echo of the key and the panel under it are gone from behind the answer.
        var said = string.Concat(screen.SkipWhile(line => !line.StartsWith("stopping", StringComparison.Ordinal)).TakeWhile(line => !line.StartsWith('╭')));
        Assert.Equal("stopping after this step with a checkpoint; once more to stop at once".Replace(" ", "", StringComparison.Ordinal),
            said.Replace(" ", "", StringComparison.Ordinal));
        Assert.Contains(screen, line => line.StartsWith("interrupted after step", StringComparison.Ordinal));
    }
}
