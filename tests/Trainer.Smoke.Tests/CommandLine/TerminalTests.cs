using System.Diagnostics;

namespace Trainer.Smoke.Tests.CommandLine;

/// <summary>Closed pipes, no colours, odd terminals.</summary>
[Trait("ring", "smoke")]
public sealed class TerminalTests
{
    /// <summary>Runs a shell line in which $T is the program.</summary>
    private static (int ExitCode, string Output, string Error) Shell(string line)
    {
        var info = TrainerProgram.Start(new ProgramRun("--version"));
        info.End();
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = TrainerProgram.Repository };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(line);
        start.Environment["T"] = $"{info.StartInfo.FileName} {TrainerProgram.FilePath}";
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.End();
        return (process.ExitCode, output.Result, error.Result);
    }

    [Fact]
    public void A_closed_stdout_is_told_once_and_has_its_exit_code()
    {
        var (code, _, error) = Shell("$T schema >&-");
        Assert.Equal(73, code);
        Assert.StartsWith("error: ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_reader_that_goes_away_is_no_fault()
    {
        var (code, output, error) = Shell("$T completion fish | head -n 1");
        Assert.Equal(0, code);
        Assert.StartsWith("#", output, StringComparison.Ordinal);
        Assert.Equal("", error);
    }

    [Fact]
    public void A_closed_stderr_stops_nothing() => Assert.Equal(0, Shell("$T schema 2>&-").ExitCode);

    [Fact]
    public void A_full_disk_behind_stdout_is_a_write_fault()
    {
        if (!File.Exists("/dev/full")) return;
        Assert.Equal(73, Shell("$T schema > /dev/full").ExitCode);
    }

    [Theory]
    [InlineData("NO_COLOR=1 TERM=xterm")]
    [InlineData("TERM=dumb")]
    [InlineData("TERM=xterm")]
    [InlineData("LC_ALL=C TERM=xterm")]
    public void Text_that_is_no_terminals_has_no_escapes(string environment)
    {
        var (code, output, _) = Shell($"{environment} $T --help");
        Assert.Equal(0, code);
        Assert.DoesNotContain('\u001b', output);
    }

    [Fact]
    public void Completion_scripts_are_accepted_by_bash()
    {
        var (code, output, error) = Shell("$T completion bash > /tmp/trainer-completion-$$ && bash -c 'source /tmp/trainer-completion-'$$'; "
            + "COMP_WORDS=(trainer train --lora-ra); COMP_CWORD=2; _trainer; echo ${COMPREPLY[@]}'; rm -f /tmp/trainer-completion-$$");
        Assert.Equal(0, code);
        Assert.Equal("--lora-rank", output.Trim());
        Assert.Equal("", error);
    }
}
