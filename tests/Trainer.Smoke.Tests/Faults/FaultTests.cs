using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>What disks, files and signals do to a run: a sentence, the right exit code, nothing half-written, nothing lost.</summary>
[Trait("ring", "smoke")]
public partial class FaultTests
{
    [Fact]
    [Trait("ring", "slow")]
    public void A_damaged_newest_checkpoint_is_passed_over_whatever_the_damage()
    {
        (string Name, Action<string> Damage)[] damages =
        [
            ("a flipped bit", folder => Flip(Path.Combine(folder, "trainer_state.safetensors"))),
            ("a missing file", folder => File.Delete(Path.Combine(folder, "run_state.json"))),
            ("a foreign manifest", folder => File.WriteAllText(Path.Combine(folder, "manifest.json"), "{\"format\":\"other\"}")),
            ("an older layout", folder => File.WriteAllText(Path.Combine(folder, "manifest.json"),
                File.ReadAllText(Path.Combine(folder, "manifest.json")).Replace("\"schema\": 1", "\"schema\": 0", StringComparison.Ordinal))),
        ];
        foreach (var (name, damage) in damages)
        {
            using var run = new FaultRun();
            KillAfter(run, step: 13);
            damage(Path.Combine(run.Output, $"checkpoint-{run.Checkpoints[^1]}"));
            var result = run.Run("--resume");
            Assert.True(result.ExitCode == 0, $"{name}: {result.Error}");
            Assert.Contains("is damaged", result.Error, StringComparison.Ordinal);
            Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
            Assert.Equal(FaultRun.Whole.Metrics, run.Metrics);
        }
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_disk_that_fills_up_ends_the_run_with_73_and_loses_no_checkpoint()
    {
        // What is left when the disk fills: nothing, a few metrics rows, a part of a checkpoint.
        foreach (var (step, leftKilobytes) in new[] { (1, 0), (6, 4), (10, 120), (17, 300) })
        {
            using var run = new FaultRun();
            var disk = Path.Combine(run.Folder, "disk");
            Directory.CreateDirectory(disk);
            Skip.IfNot(Shell($"mount -t tmpfs -o size=16m tmpfs '{disk}'") == 0, "no right to mount a small disk");
            try
            {
                run.Output = Path.Combine(disk, "run");
                using var process = run.Start();
                WaitForStep(run, process, step);
                Shell($"dd if=/dev/zero of='{disk}/filler' bs=1k; truncate -s -{leftKilobytes}k '{disk}/filler'");
                process.End();
                Assert.True(process.ExitCode is 73 || (process.ExitCode == 0 && run.LastLoggedStep == FaultRun.Steps),
                    $"exit code {process.ExitCode} with {leftKilobytes} KB left");
                Assert.Empty(Directory.GetDirectories(run.Output, ".checkpoint-*"));
                File.Delete(Path.Combine(disk, "filler"));
                var resumed = run.Run("--resume");
                Assert.True(resumed.ExitCode == 0, $"{leftKilobytes} KB: {resumed.Error}");
                Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
                Assert.Equal(FaultRun.Whole.Metrics, run.Metrics);
            }
            finally
            {
                Shell($"umount '{disk}'");
            }
        }
    }

    [SkippableFact]
    public void A_disk_too_small_for_the_run_is_refused_before_the_first_step()
    {
        using var run = new FaultRun();
        var disk = Path.Combine(run.Folder, "disk");
        Directory.CreateDirectory(disk);
        Skip.IfNot(Shell($"mount -t tmpfs -o size=900k tmpfs '{disk}'") == 0, "no right to mount a small disk");
        try
        {
            run.Output = Path.Combine(disk, "run");
            Assert.Contains("the whole run", run.Run().Faults(73)[0], StringComparison.Ordinal);
            Assert.Equal(0, run.LastLoggedStep);
        }
        finally
        {
            Shell($"umount '{disk}'");
        }
    }

    [Fact]
    public void A_place_that_cannot_be_written_ends_with_73()
    {
        using var run = new FaultRun();
        File.WriteAllText(run.Output, "a file where the folder should be");
        Assert.Contains(run.Output, run.Run().Faults(73)[0], StringComparison.Ordinal);
        run.Output = "/proc/trainer-run";
        Assert.Contains("/proc/trainer-run", run.Run().Faults(73)[0], StringComparison.Ordinal);
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_second_trainer_in_the_same_folder_is_refused()
    {
        using var run = new FaultRun();
        using var first = run.Start();
        WaitForStep(run, first, 1);
        // Its few steps could be over before the second trainer looks.
        Send(first.Id, 19);
        var recipe = File.ReadAllText(Path.Combine(run.Output, "recipe.yaml"));
        foreach (var way in new[] { "--resume", "--overwrite-output-dir" })
            Assert.Contains("is writing there", run.Run(way, "--weight-decay", "0.3").Faults(73)[0], StringComparison.Ordinal);
        Assert.Equal(recipe, File.ReadAllText(Path.Combine(run.Output, "recipe.yaml")));
        using (var log = new StreamReader(new FileStream(Path.Combine(run.Output, "trainer.log"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite)))
            Assert.DoesNotContain("is writing there", log.ReadToEnd(), StringComparison.Ordinal);
        first.Kill();
        first.End();
        Assert.Equal(0, run.Run("--resume").ExitCode);
        Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
        // The record names the very recipe that lies beside it.
        var written = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(Path.Combine(run.Output, "recipe.yaml"))));
        Assert.Contains(written, File.ReadAllText(Path.Combine(run.Output, "run.json")), StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData(2, 130)]
    [InlineData(15, 143)]
    [InlineData(1, 143)]
    [Trait("ring", "slow")]
    public void A_signal_leaves_a_checkpoint_and_the_resumed_run_is_the_same(int signal, int exitCode)
    {
        // What was started under nohup hands the ignored signal down, and the run goes on to its end as it should.
        Skip.If(signal == 1 && IsHangupIgnored(), "this process was started with SIGHUP ignored");
        using var run = new FaultRun();
        using var process = run.Start();
        WaitForStep(run, process, 5);
        Send(process.Id, signal);
        process.End();
        Assert.Equal(exitCode, process.ExitCode);
        Assert.Equal(run.LastLoggedStep, run.Checkpoints[^1]);
        Assert.Equal(0, run.Run("--resume").ExitCode);
        Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
        Assert.Equal(FaultRun.Whole.Metrics, run.Metrics);
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_second_signal_ends_at_once_and_harms_nothing()
    {
        using var run = new FaultRun();
        using var process = run.Start();
        WaitForStep(run, process, 6);
        Send(process.Id, 2);
        Thread.Sleep(1);
        _ = Kill(process.Id, 15);
        process.End();
        Assert.True(process.ExitCode is 130 or 143, $"exit code {process.ExitCode}");
        Assert.Equal(0, run.Run("--resume").ExitCode);
        Assert.Equal(FaultRun.Whole.AdapterHash, run.AdapterHash);
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_changed_base_and_changed_data_are_named_and_refused()
    {
        using var run = new FaultRun();
        var copy = Path.Combine(run.Folder, "model");
        Directory.CreateDirectory(copy);
        foreach (var file in Directory.GetFiles(run.Model)) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        run.Model = copy;
        KillAfter(run, step: 6);
        var rows = File.ReadAllText(run.Data);
        File.WriteAllText(run.Data, rows.Replace("[", "[1,", StringComparison.Ordinal));
        Assert.Contains("rows.jsonl' has changed", run.Run("--resume").Faults(2)[0], StringComparison.Ordinal);
        File.WriteAllText(run.Data, rows);
        Flip(Path.Combine(copy, "model-00002-of-00004.safetensors"));
        Assert.Contains("model-00002-of-00004.safetensors' has changed", run.Run("--resume").Faults(2)[0], StringComparison.Ordinal);
    }

    private static void KillAfter(FaultRun run, int step)
    {
        using var process = run.Start();
        WaitForStep(run, process, step);
        process.Kill();
        process.End();
    }

    private static void WaitForStep(FaultRun run, Process process, int step)
    {
        var clock = Stopwatch.StartNew();
        while (run.LastLoggedStep < step)
        {
            Assert.False(process.HasExited, $"the run ended before step {step} with exit code {(process.HasExited ? process.ExitCode : 0)}");
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(2), $"no step {step} within two minutes");
            Thread.Sleep(2);
        }
    }

    private static void Flip(string path)
    {
        var bytes = File.ReadAllBytes(path);
        bytes[^3] ^= 1;
        File.WriteAllBytes(path, bytes);
    }

    private static int Shell(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardError = true })!;
        _ = process.StandardError.ReadToEndAsync();
        process.End();
        return process.ExitCode;
    }

    // Bit 0 of the mask is signal 1.
    private static bool IsHangupIgnored() =>
        File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is var line
        && (Convert.ToUInt64(line["SigIgn:".Length..].Trim(), 16) & 1) != 0;

    private static void Send(int process, int signal) => Assert.Equal(0, Kill(process, signal));

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
