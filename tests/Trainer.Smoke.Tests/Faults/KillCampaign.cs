using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>
/// kill -9 at random instants of a short run, each time resumed by the same command with --resume, against a run that nobody killed.
/// TRAINER_FAULT_KILLS and TRAINER_FAULT_SEED make it longer and other (scripts/fault-campaign.sh).
/// </summary>
[Trait("ring", "smoke")]
public class KillCampaign(ITestOutputHelper output)
{
    // What a run may be besides the plain one with dropout on a continued adapter.
    private static readonly string[][] Configurations =
    [
        [],
        ["--packing"],
        ["--use-dora"],
        ["--lora-rank", "4", "--loraplus-ratio", "8", "--lora-dropout", "0"],
        ["--eval-steps", "4", "--early-stopping-patience", "3"],
        ["--quantize", "int8"],
        ["--quantize", "none", "--optim", "adamw-8bit"],
        ["--dtype", "bfloat16"],
        ["--stream", "on"],
        ["--save-total-limit", "1", "--optim", "schedule-free-adamw", "--lr-scheduler", "constant", "--warmup-steps", "0"],
        ["--group-by-length", "--gradient-checkpointing", "on"],
        ["--lora-rank", "2", "--modules-to-save", "lm_head"],
    ];

    [Fact]
    [Trait("ring", "slow")]
    public void A_run_killed_a_few_times_ends_with_the_same_bytes_and_rows() => Campaign(3, seed: 2, configurations: 1);

    [Fact]
    [Trait("ring", "slow")]
    public void A_run_killed_at_random_instants_ends_with_the_same_bytes_and_rows()
    => Campaign(Number("TRAINER_FAULT_KILLS", 8), Number("TRAINER_FAULT_SEED", 1), Configurations.Length);

    [Fact]
    [Trait("ring", "slow")]
    public void Two_writers_and_a_kill_leave_one_run_and_the_same_bytes()
    {
        var (rounds, random) = (Math.Max(1, Number("TRAINER_FAULT_KILLS", 12) / 12), new Random(Number("TRAINER_FAULT_SEED", 1)));
        var whole = FaultRun.Whole;
        for (var round = 0; round < rounds; round++)
        {
            using var run = new FaultRun();
            using var first = run.Start();
            first.WaitForExit(TimeSpan.FromSeconds(random.NextDouble() * 0.5));
            using var second = run.Start();
            first.WaitForExit(TimeSpan.FromSeconds(random.NextDouble() * whole.Seconds));
            if (!first.HasExited) first.Kill();
            first.End();
            second.End();
            // Refused because the other holds the folder or has a run there; or, where it was the quicker one, at its end.
            Assert.True(second.ExitCode is 0 or 2 or 73, $"round {round}: exit code {second.ExitCode}");
            var result = run.Run("--resume");
            Assert.True(result.ExitCode == 0, $"round {round}: {result.Error}");
            Assert.Equal(whole.AdapterHash, run.AdapterHash);
            Assert.Equal(whole.Metrics, run.Metrics);
        }
        output.WriteLine($"two writers: {rounds} kills");
    }

    private void Campaign(int kills, int seed, int configurations)
    {
        var random = new Random(seed);
        var (done, resumes, mismatches, lost, failures) = (0, 0, 0, 0, new List<string>());
        for (var turn = seed; done < kills; turn++)
        {
            var options = Configurations[turn % configurations];
            var whole = FaultRun.WholeOf(options);
            using var run = new FaultRun(options);
            string[] more = [];
            // One to three kills of the same run before it is let through.
            var rounds = Math.Min(random.Next(1, 4), kills - done);
            for (var round = 0; round < rounds; round++, done++)
            {
                Kill(run, random, whole.Seconds, more);
                // A row for step s is written after the checkpoint that was due before it: that one, or a newer, must be there.
                var due = (run.LastLoggedStep - 1) / FaultRun.SaveSteps * FaultRun.SaveSteps;
                if (due > 0 && run.Checkpoints.DefaultIfEmpty(0).Max() < due)
                {
                    lost++;
                    failures.Add($"after a kill at step {run.LastLoggedStep} the newest checkpoint "
                        + $"is {run.Checkpoints.DefaultIfEmpty(0).Max()}, {due} was due");
                }
                more = ["--resume"];
            }
            var result = run.Run(more);
            resumes += rounds;
            if (result.ExitCode != 0) failures.Add($"{string.Join(' ', options)}: exit code {result.ExitCode}: {result.Error}");
            else if (run.AdapterHash != whole.AdapterHash || !run.Metrics.SequenceEqual(whole.Metrics))
            {
                mismatches++;
                failures.Add($"{string.Join(' ', options)}: another result after {rounds} kills\n{result.Error}");
            }
        }
        output.WriteLine($"kills {done}, resumes {resumes}, mismatches {mismatches}, lost checkpoints {lost}, failures {failures.Count}");
        Assert.True(failures.Count == 0, $"kills {done}, mismatches {mismatches}, lost checkpoints {lost}\n{string.Join("\n---\n", failures.Take(5))}");
    }

    /// <summary>Half of the kills fall anywhere, start and end included; half fall into a save, which is short and would rarely be hit.</summary>
    private static void Kill(FaultRun run, Random random, double seconds, string[] more)
    {
        using var process = run.Start(more);
        if (random.Next(2) == 0) process.WaitForExit(TimeSpan.FromSeconds(random.NextDouble() * seconds));
        else
        {
            var saves = random.Next(0, FaultRun.Steps / FaultRun.SaveSteps);
            var before = run.Checkpoints.DefaultIfEmpty(0).Max();
            while (!process.HasExited && run.Checkpoints.DefaultIfEmpty(0).Max() < Math.Min(before + saves * FaultRun.SaveSteps, FaultRun.Steps))
                Thread.Sleep(1);
            while (!process.HasExited && !IsSaving(run)) Thread.SpinWait(200);
            Thread.Sleep(random.Next(0, 8));
        }
        // On Unix this is SIGKILL.
        if (!process.HasExited) process.Kill();
        process.End();
    }

    private static bool IsSaving(FaultRun run) => Directory.Exists(run.Output) && Directory.EnumerateDirectories(run.Output, ".checkpoint-*").Any();

    internal static int Number(string name, int otherwise)
        => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : otherwise;
}
