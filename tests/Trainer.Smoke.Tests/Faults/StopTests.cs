using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>A signal is heard wherever the program is, within two seconds, and answered with words that are true there.</summary>
[Trait("ring", "smoke")]
public sealed partial class StopTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("train --model tiny --data {rows} --output-dir {out}", "stopping; once more", "before the first step; nothing is kept")]
    [InlineData("data check --model tiny {rows}", "stopping; once more", "interrupted")]
    [InlineData("eval --model tiny --data {rows}", "stopping; once more", "interrupted")]
    [Trait("ring", "slow")]
    public async Task An_interruption_is_heard_while_data_is_read(string command, string answer, string end)
    {
        var rows = _folder.File("rows.jsonl",
            string.Concat(Enumerable.Range(0, 400_000).Select(row => $"{{\"text\": \"The harbour number {row} is calm, and so on and on for a while.\"}}\n")));
        var output = Path.Combine(_folder.Path, "run");
        using var process = TrainerProgram.Start(
            new ProgramRun([.. command.Replace("{rows}", rows, StringComparison.Ordinal).Replace("{out}", output, StringComparison.Ordinal).Split(' ')]));
        var said = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
        await Task.Delay(3000);
        Assert.False(process.HasExited, "the rows are too few to stop in");
        var clock = Stopwatch.StartNew();
        Assert.Equal(0, Kill(process.Id, 2));
        process.End();
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(4), $"it took {clock.Elapsed}");
        Assert.Equal(130, process.ExitCode);
        Assert.Contains(answer, await said, StringComparison.Ordinal);
        Assert.Contains(end, await said, StringComparison.Ordinal);
        Assert.False(Directory.Exists(output));
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_hangup_is_ignored_where_nohup_asks_for_it()
    {
        using var run = new FaultRun();
        using var process = Process.Start(new ProcessStartInfo("/bin/sh",
            ["-c", $"trap '' HUP; exec dotnet '{TrainerProgram.FilePath}' \"$@\"", "sh", .. run.Words()]) { RedirectStandardError = true,
            RedirectStandardOutput = true })!;
        _ = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
        while (run.LastLoggedStep < 3 && !process.HasExited) Thread.Sleep(5);
        Assert.Equal(0, Kill(process.Id, 1));
        process.End();
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(FaultRun.Steps, run.LastLoggedStep);
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
