using System.Diagnostics;
using System.Globalization;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Ranks on one machine hold one base: its pages are those of the file in the page cache, and no rank has a copy.</summary>
[Trait("ring", "smoke")]
public sealed class RankMemoryTests
{
    [SkippableTheory]
    [Trait("ring", "slow")]
    [InlineData("nf4")]
    [InlineData("none")]
    public void A_base_is_in_memory_once_a_machine(string form)
    {
        using var folder = new TemporaryFolder();
        var (model, output) = (Path.Combine(folder.Path, "base"), Path.Combine(folder.Path, "run"));
        if (form == "nf4") Assert.Equal(0, TrainerProgram.Run(["quantize", "--model", "tiny", "--output", model]).ExitCode);
        else model = "tiny";
        string[] words = ["train", "--model", model, "--data", "demo", "--quantize", form, "--max-steps", "100000", "--gradient-accumulation-steps", "2",
            "--threads", "1", "--report-to", "none", "--save-steps", "0", "--logging-steps", "1", "--output-dir", output];
        var job = MpiRun.Start(MpiRun.OpenMpi, 2, words);
        try
        {
            var metrics = Path.Combine(output, "metrics.jsonl");
            for (var round = 0; round < 1200 && !job.HasExited
                && !(File.Exists(metrics) && File.ReadAllText(metrics).Contains("\"loss\"", StringComparison.Ordinal)); round++) Thread.Sleep(50);
            Assert.False(job.HasExited, "the ranks ended too early");
            var ranks = Process.GetProcessesByName("dotnet").Select(process => process.Id)
                .Where(id => File.ReadAllText($"/proc/{id}/cmdline").Contains(output, StringComparison.Ordinal)).ToArray();
            Assert.Equal(2, ranks.Length);
            Assert.All(ranks, rank =>
            {
                var (resident, share, own) = OfBase(rank);
                Assert.True(resident > 0, "the base is not mapped");
                Assert.Equal(0, own);
                // Half of each page that both have; a page that one alone has read so far counts whole.
                Assert.InRange(share, 0, 0.75 * resident);
            });
        }
        finally
        {
            Process.Start("kill", ["-15", job.Id.ToString(CultureInfo.InvariantCulture)]).End();
            MpiRun.Finish(job);
        }
    }

    /// <summary>KiB of the mapped base: what is resident, this process's share of it, and what it has changed and so copied.</summary>
    private static (long Resident, long Share, long Own) OfBase(int process)
    {
        long resident = 0, share = 0, own = 0;
        var isBase = false;
        foreach (var line in File.ReadLines($"/proc/{process}/smaps"))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (!words[0].EndsWith(':')) isBase = line.EndsWith(".safetensors", StringComparison.Ordinal);
            else if (isBase && words[0] == "Rss:") resident += long.Parse(words[1], CultureInfo.InvariantCulture);
            else if (isBase && words[0] == "Pss:") share += long.Parse(words[1], CultureInfo.InvariantCulture);
            else if (isBase && words[0] is ("Private_Dirty:" or "Anonymous:")) own += long.Parse(words[1], CultureInfo.InvariantCulture);
        }
        return (resident, share, own);
    }
}
