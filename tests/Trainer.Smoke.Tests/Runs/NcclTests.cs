using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Processes as torchrun starts them, over a library that stands for NCCL and the driver of the cards (tests/fixtures/nccl).</summary>
[Trait("ring", "smoke")]
public sealed class NcclTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SkippableFact]
    [Trait("ring", "slow")]
    public void Ranks_over_nccl_train_what_ranks_over_mpi_and_one_process_do()
    {
        Build();
        string[] options = ["train", "--model", "tiny", "--data", "demo", "--max-steps", "3", "--gradient-accumulation-steps", "2", "--eval-steps", "2",
            "--save-steps", "0", "--threads", "1", "--report-to", "none", "--logging-steps", "1"];
        var (one, many) = (Path.Combine(_folder.Path, "one"), Path.Combine(_folder.Path, "many"));
        Assert.Equal(0, TrainerProgram.Run([.. options, "--output-dir", one]).ExitCode);
        // Unasked too: what torchrun started is no run of one process.
        var ranks = Start(2, [.. options, "--output-dir", many]);
        var results = ranks.Select(rank => MpiRun.Finish(rank)).ToList();
        Assert.All(results, result => Assert.True(result.ExitCode == 0, result.Error));
        Assert.Contains("2 ranks over NCCL 2.21.5", results[0].Error, StringComparison.Ordinal);
        Assert.Equal("", results[1].Output);
        MpiTests.AssertSameRun(one, many);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_over_nccl_that_is_killed_ends_the_others_within_seconds()
    {
        Build();
        var output = Path.Combine(_folder.Path, "killed");
        var ranks = Start(2, ["train", "--model", "tiny", "--data", "demo", "--max-steps", "4000", "--gradient-accumulation-steps", "2", "--save-steps", "2",
            "--threads", "1", "--report-to", "none", "--output-dir", output]);
        MpiTests.WaitFor(() => Directory.Exists(Path.Combine(output, "checkpoint-2")), ranks[0]);
        var begun = Stopwatch.GetTimestamp();
        ranks[1].Kill();
        var result = MpiRun.Finish(ranks[0]);
        Assert.InRange(Stopwatch.GetElapsedTime(begun).TotalSeconds, 0, 30);
        Assert.Equal(70, result.ExitCode);
        Assert.Contains("rank 1 of 2 ended without a word", result.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(output, "rank-0.error")));
        MpiRun.Finish(ranks[1]);
    }

    [Fact]
    public void Nccl_without_a_launcher_or_a_card_is_refused_in_a_sentence()
    {
        string[] words = ["train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--distributed", "nccl", "--output-dir",
            Path.Combine(_folder.Path, "none")];
        Assert.Contains("start them by torchrun", Assert.Single(TrainerProgram.Run(words).Faults(69)), StringComparison.Ordinal);
        var alone = new ProgramRun(words) { Environment = new Dictionary<string, string> { ["RANK"] = "0", ["WORLD_SIZE"] = "2", ["MASTER_ADDR"] = "127.0.0.1",
            ["LD_LIBRARY_PATH"] = "" } };
        if (!File.Exists("/dev/nvidiactl"))
            Assert.Contains("their driver is not here", Assert.Single(TrainerProgram.Run(alone).Faults(69)), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "none")));
    }

    private void Build()
    {
        Skip.IfNot(OperatingSystem.IsLinux() && File.Exists("/usr/bin/cc"), "no C compiler is here (apt-get install gcc)");
        Process.Start(Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "nccl", "build.sh"), [_folder.Path]).End();
    }

    private List<Process> Start(int size, string[] words)
    {
        using var free = new Socket(SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        var port = ((IPEndPoint)free.LocalEndPoint!).Port;
        free.Dispose();
        return [.. Enumerable.Range(0, size).Select(rank =>
        {
            var number = rank.ToString(CultureInfo.InvariantCulture);
            var environment = new Dictionary<string, string>
            {
                ["RANK"] = number, ["LOCAL_RANK"] = number, ["WORLD_SIZE"] = $"{size}", ["MASTER_ADDR"] = "127.0.0.1", ["MASTER_PORT"] = $"{port}",
                ["LD_LIBRARY_PATH"] = _folder.Path, ["TRAINER_COLLECTIVE_TIMEOUT"] = "120", ["TMPDIR"] = _folder.Path,
            };
            var process = TrainerProgram.Start(new ProgramRun(words) { Environment = environment });
            process.StandardInput.Close();
            return process;
        })];
    }
}
