using System.Diagnostics;
using System.Globalization;
using Trainer.Smoke.Tests.Runs;
using Xunit.Abstractions;

namespace Trainer.Smoke.Tests.Faults;

/// <summary>
/// One of two ranks is killed or stopped at a random instant: all end by the deadline, no checkpoint that was due is lost, and the run that goes on
/// ends with the bytes of one that nobody disturbed. TRAINER_FAULT_RANKS and TRAINER_FAULT_SEED make it longer and other.
/// </summary>
[Trait("ring", "smoke")]
public sealed class RankCampaign(ITestOutputHelper output)
{
    private const int DeadlineSeconds = 5;

    // What the launcher and a busy machine may take beyond the deadline.
    private const int SlackSeconds = 20;
    private const int Kill = 9, Stop = 19;

    [SkippableFact]
    [Trait("ring", "slow")]
    public void Ranks_killed_and_stopped_at_random_instants_end_all_and_lose_nothing()
    {
        var (faults, random) = (KillCampaign.Number("TRAINER_FAULT_RANKS", 2), new Random(KillCampaign.Number("TRAINER_FAULT_SEED", 5)));
        using var whole = new FaultRun();
        var clock = Stopwatch.StartNew();
        var undisturbed = MpiRun.Run(MpiRun.OpenMpi, 2, whole.Words());
        var seconds = clock.Elapsed.TotalSeconds;
        Assert.True(undisturbed.ExitCode == 0, undisturbed.Error);

        var (kills, stops, ended, hangs, lost, different, slowest, failures) = (0, 0, 0, 0, 0, 0, 0.0, new List<string>());
        while (kills + stops < faults && ended <= faults)
        {
            using var run = new FaultRun();
            string[] more = [];
            // Several faults of the same run before it is let through.
            for (var rounds = Math.Min(random.Next(2, 5), faults - kills - stops); rounds > 0; rounds--)
            {
                var signal = (kills + stops) % 2 == 0 ? Kill : Stop;
                var launcher = random.Next(2) == 0 ? MpiRun.OpenMpi : MpiRun.Mpich;
                var took = Disturb(run, launcher, signal, random, seconds, more);
                if (took is null) ended++;
                else if (signal == Kill) kills++;
                else stops++;
                if (took > DeadlineSeconds + SlackSeconds) hangs++;
                slowest = Math.Max(slowest, took ?? 0);
                // A row for step s is written after the checkpoint that was due before it: that one, or a newer, must be there.
                var (due, newest) = ((run.LastLoggedStep - 1) / FaultRun.SaveSteps * FaultRun.SaveSteps, run.Checkpoints.DefaultIfEmpty(0).Max());
                if (newest < due)
                {
                    lost++;
                    failures.Add($"the newest checkpoint is {newest} after step {run.LastLoggedStep}");
                }
                more = ["--resume"];
            }
            var result = MpiRun.Run(MpiRun.OpenMpi, 2, run.Words(more));
            if (result.ExitCode == 0 && run.AdapterHash == whole.AdapterHash && run.Metrics.SequenceEqual(whole.Metrics)) continue;
            different++;
            failures.Add($"another result, exit code {result.ExitCode}\n{result.Error}");
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"kills {kills}, stops {stops}, ended before {ended}, hangs {hangs}, lost checkpoints {lost}, different "
            + $"results {different}, slowest end {slowest:0.0} s"));
        Assert.True(hangs == 0 && failures.Count == 0,
            $"hangs {hangs}, lost checkpoints {lost}, different results {different}\n{string.Join("\n---\n", failures.Take(5))}");
    }

    /// <summary>Seconds from the signal to the end of all; null where the ranks were done before it.</summary>
    private static double? Disturb(FaultRun run, string launcher, int signal, Random random, double seconds, string[] more)
    {
        var job = MpiRun.Start(launcher, 2, run.Words(more),
            new Dictionary<string, string> { ["TRAINER_COLLECTIVE_TIMEOUT"] = DeadlineSeconds.ToString(CultureInfo.InvariantCulture) });
        var known = run.Checkpoints.DefaultIfEmpty(0).Max();
        // Half anywhere in what a resumed run takes, its start included; half just after a checkpoint, where the next is being made or a step.
        if (random.Next(2) == 0) job.WaitForExit(TimeSpan.FromSeconds(random.NextDouble() * seconds / 2));
        else
        {
            while (!job.HasExited && run.Checkpoints.DefaultIfEmpty(0).Max() <= known) Thread.Sleep(1);
            Thread.Sleep(random.Next(0, 300));
        }
        var ranks = Ranks(job.Id).ToArray();
        while (!job.HasExited && ranks.Length < 2) ranks = [.. Ranks(job.Id)];
        if (job.HasExited)
        {
            MpiRun.Finish(job);
            return null;
        }
        var victim = ranks[random.Next(ranks.Length)];
        var isFirst = Read($"/proc/{victim}/environ").Split('\0').Any(variable => variable is "OMPI_COMM_WORLD_RANK=0" or "PMI_RANK=0");
        Process.Start("kill", ["-" + signal.ToString(CultureInfo.InvariantCulture), victim.ToString(CultureInfo.InvariantCulture)]).End();
        var clock = Stopwatch.StartNew();
        try
        {
            MpiRun.Finish(job, 60);
        }
        catch (TimeoutException) when (isFirst && run.LastLoggedStep == FaultRun.Steps && File.Exists(Path.Combine(run.Output, "adapter_model.safetensors")))
        {
            // The first rank waits for the others when all is done; when it is stopped after that nobody is left to see it, and it holds its launcher alone.
            return null;
        }
        catch (TimeoutException)
        {
            // Ended by the test: its seconds say that it hung.
        }
        return clock.Elapsed.TotalSeconds;
    }

    /// <summary>The ranks below a launcher: hydra has a process of its own between.</summary>
    private static IEnumerable<int> Ranks(int parent)
    {
        foreach (var child in Children(parent))
        {
            if (Read($"/proc/{child}/comm").Trim() is "dotnet") yield return child;
            else foreach (var below in Ranks(child)) yield return below;
        }
    }

    private static IEnumerable<int> Children(int process) => Directory.Exists($"/proc/{process}/task")
        ? Directory.GetDirectories($"/proc/{process}/task").SelectMany(thread => Read($"{thread}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(int.Parse)
        : [];

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
