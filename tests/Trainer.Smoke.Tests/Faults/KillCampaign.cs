using System.Diagnostics;
using Xunit.Abstractions;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>
/// kill -9 at random instants of a short run, each time resumed by the same command with --resume, against a run that nobody killed.
/// TRAINER_FAULT_KILLS and TRAINER_FAULT_SEED make it longer and other (scripts/fault-campaign.sh).
/// </summary>
[Trait("ring", "smoke")]
public class KillCampaign(ITestOutputHelper output)
{
    [Fact]
    [Trait("ring", "slow")]
    public void A_run_killed_a_few_times_ends_with_the_same_bytes_and_rows() => Campaign(3, seed: 2);

    [Fact]
    [Trait("ring", "slow")]
    public void A_run_killed_at_random_instants_ends_with_the_same_bytes_and_rows() => Campaign(Number("TRAINER_FAULT_KILLS", 12), Number("TRAINER_FAULT_SEED", 1));

    private void Campaign(int kills, int seed)
    {
        var random = new Random(seed);
        var whole = FaultRun.Whole;
        var (done, resumes, mismatches, lost, failures) = (0, 0, 0, 0, new List<string>());
        while (done < kills)
        {
            using var run = new FaultRun();
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
                    failures.Add($"after a kill at step {run.LastLoggedStep} the newest checkpoint is {run.Checkpoints.DefaultIfEmpty(0).Max()}, {due} was due");
                }
                more = ["--resume"];
            }
            var result = run.Run(more);
            resumes += rounds;
            if (result.ExitCode != 0) failures.Add($"exit code {result.ExitCode}: {result.Error}");
            else if (run.AdapterHash != whole.AdapterHash || !run.Metrics.SequenceEqual(whole.Metrics))
            {
                mismatches++;
                failures.Add($"another result after {rounds} kills\n{result.Error}");
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
            while (!process.HasExited && run.Checkpoints.DefaultIfEmpty(0).Max() < Math.Min(before + saves * FaultRun.SaveSteps, FaultRun.Steps)) Thread.Sleep(1);
            while (!process.HasExited && !IsSaving(run)) Thread.SpinWait(200);
            Thread.Sleep(random.Next(0, 8));
        }
        // On Unix this is SIGKILL.
        if (!process.HasExited) process.Kill();
        process.End();
    }

    private static bool IsSaving(FaultRun run) => Directory.Exists(run.Output) && Directory.EnumerateDirectories(run.Output, ".checkpoint-*").Any();

    private static int Number(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), out var number) ? number : otherwise;
}
