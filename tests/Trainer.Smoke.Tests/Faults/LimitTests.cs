namespace Trainer.Smoke.Tests.Faults;

/// <summary>What a shell's <c>ulimit</c> leaves: a sentence and the right exit code, and what was on disk is still there.</summary>
[Trait("ring", "smoke")]
[Trait("ring", "slow")]
public class LimitTests
{
    [SkippableTheory]
    [InlineData(24)]
    [InlineData(64)]
    [InlineData(128)]
    public void Too_few_open_files_are_told_before_anything_is_tried(int files)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "the limits of Linux");
        using var run = new FaultRun();
        Assert.Contains("ulimit -n 1024", Under($"ulimit -n {files}", run.Words()).Faults(69)[0], StringComparison.Ordinal);
        Assert.False(Directory.Exists(run.Output));
    }

    [SkippableFact]
    public void A_file_larger_than_the_limit_ends_with_73_and_the_last_checkpoint_is_whole()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "the limits of Linux");
        using var run = new FaultRun();
        using (var first = run.Start())
        {
            while (run.Checkpoints.DefaultIfEmpty(0).Max() < 8 && !first.HasExited) Thread.Sleep(2);
            first.Kill();
            first.End();
        }
        var kept = run.Checkpoints[^1];
        // 24 KiB: the metrics and the adapter may be written, the state of the optimizer may not. The shell counts blocks of 512 bytes.
        var faults = Under("ulimit -f 48", run.Words("--resume"), ("DOTNET_EnableWriteXorExecute", "0")).Faults(73);
        Assert.Contains("'ulimit -f' allows", faults[0], StringComparison.Ordinal);
        Assert.Equal(kept, run.Checkpoints[^1]);
        Assert.Empty(Directory.GetDirectories(run.Output, ".checkpoint-*"));
        Assert.Equal(0, run.Run("--resume").ExitCode);
        Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
    }

    [SkippableFact]
    public void A_limit_that_the_runtimes_own_code_file_would_break_is_stepped_around()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "the limits of Linux");
        using var run = new FaultRun();
        var result = Under("ulimit -f 16384", run.Words());
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
    }

    private static ProgramResult Under(string limit, string[] words, params (string Name, string Value)[] environment) =>
        TrainerProgram.Run(new ProgramRun(words) { Limit = limit, Environment = environment.ToDictionary(pair => pair.Name, pair => pair.Value) });
}
