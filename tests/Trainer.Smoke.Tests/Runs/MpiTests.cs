using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Several ranks train what one process trains, and end together whatever happens to one of them.</summary>
[Trait("ring", "smoke")]
public sealed class MpiTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SkippableTheory]
    [InlineData(MpiRun.OpenMpi, 2)]
    [InlineData(MpiRun.Mpich, 2)]
    public void Ranks_train_what_one_process_trains(string launcher, int ranks)
    {
        var (one, many) = (Output("one"), Output("many"));
        var options = Options(steps: 3, microBatches: 2, "--eval-steps", "2", "--packing");
        var result = MpiRun.Run(launcher, ranks, [.. options, "--output-dir", many]);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal(0, TrainerProgram.RunWarm([.. options, "--output-dir", one]).ExitCode);

        Assert.Contains($"{ranks} ranks over", result.Error, StringComparison.Ordinal);
        AssertSameRun(one, many);
    }

    [SkippableTheory]
    [Trait("ring", "slow")]
    [InlineData("dpo", "--packing")]
    [InlineData("dpo", "--precompute-reference")]
    [InlineData("kto", "--batch-size=2")]
    [InlineData("kto", "--batch-size=2 --precompute-reference")]
    [InlineData("orpo", "--batch-size=2")]
    public void Ranks_compare_answers_as_one_process_does(string objective, string more)
    {
        var rows = _folder.File("pairs.jsonl", string.Concat(Enumerable.Range(0, 16).Select(i => JsonSerializer.Serialize(new
        {
            prompt = $"What is {i} and {i + 1}?", chosen = $"It is {2 * i + 1}, matey{new string('!', i % 5)}",
            rejected = i % 3 == 0 ? "I do not know that, and nobody does." : "No.",
        }) + "\n")));
        string[] options =
        [
            "train", "--model", "tiny", "--data", rows, "--eval-data", _folder.File("held.jsonl", string.Join("\n", File.ReadLines(rows).Take(6)) + "\n"),
            "--eval-steps", "2", "--objective", objective, "--max-steps", "4", "--gradient-accumulation-steps", "2", "--threads", "1", "--max-seq-length", "96",
            "--learning-rate", "1e-3", "--logging-steps", "1", .. more.Split(' '),
        ];
        var (one, many) = (Output("one"), Output("many"));
        Assert.Equal(0, TrainerProgram.Run([.. options, "--output-dir", one]).ExitCode);
        var ranks = MpiRun.Run(MpiRun.OpenMpi, 2, [.. options, "--output-dir", many]);
        Assert.True(ranks.ExitCode == 0, ranks.Error);
        AssertSameRun(one, many);
        // What is measured is of all ranks.
        var (alone, together) = (Rewards(one), Rewards(many));
        Assert.NotEmpty(alone);
        Assert.Equal(alone.Count, together.Count);
        Assert.All(alone.Zip(together), pair => Assert.Equal(pair.First, pair.Second, 1e-4));

        List<double> Rewards(string run) => [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .SelectMany(row => row.EnumerateObject().Where(member => member.Name.Contains("rewards/", StringComparison.Ordinal))
                .Select(member => member.Value.GetDouble()))];
    }

    [SkippableTheory]
    [Trait("ring", "slow")]
    [InlineData(MpiRun.OpenMpi, 3)]
    [InlineData(MpiRun.Mpich, 3)]
    public void Three_ranks_with_rows_of_any_length_too(string launcher, int ranks)
    {
        var (one, many) = (Output("one"), Output("many"));
        var options = Options(steps: 8, microBatches: 6, "--lora-dropout", "0.1", "--eval-steps", "4", "--batch-size", "2");
        Assert.Equal(0, MpiRun.Run(launcher, ranks, [.. options, "--output-dir", many]).ExitCode);
        Assert.Equal(0, TrainerProgram.Run([.. options, "--output-dir", one]).ExitCode);
        AssertSameRun(one, many);
    }

    [SkippableFact]
    public void Micro_batches_that_cannot_be_dealt_out_evenly_are_refused_with_numbers()
    {
        var result = MpiRun.Run(MpiRun.OpenMpi, 2, [.. Options(steps: 2, microBatches: 3), "--output-dir", Output("odd")]);
        Assert.All(result.Faults(2), fault => Assert.Contains("--gradient-accumulation-steps 3", fault, StringComparison.Ordinal));
        Assert.False(File.Exists(Path.Combine(Output("odd"), "run.json")));
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_library_of_another_maker_than_the_launcher_is_refused()
    {
        var library = new[] { "/usr/lib/x86_64-linux-gnu/libmpich.so.12", "/usr/lib/aarch64-linux-gnu/libmpich.so.12" }.FirstOrDefault(File.Exists);
        Skip.If(library is null, "MPICH's library is not installed");
        var result = MpiRun.Run(MpiRun.OpenMpi, 2, [.. Options(steps: 2, microBatches: 2), "--output-dir", Output("mixed")],
            new Dictionary<string, string> { ["TRAINER_MPI_LIBRARY"] = library });
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("sees 1: they are of different makers", result.Error, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [Trait("ring", "slow")]
    [InlineData("[ $rank = 1 ] && set -- \"$@\" --learning-rate 0.5", 2,
        "rank 1 of 2 has other options than rank 0 (\"learning_rate\": 0.5 instead of \"learning_rate\": 0.0002)")]
    [InlineData("[ $rank = 1 ] && export TRAINER_MPI_LIBRARY=/nowhere", 69, "TRAINER_MPI_LIBRARY '/nowhere' cannot be loaded")]
    public void A_rank_that_differs_is_named_before_anything_is_written(string shell, int exitCode, string message)
    {
        var result = MpiRun.RunEach(MpiRun.OpenMpi, 2, [.. Options(steps: 3, microBatches: 2), "--output-dir", Output("differs")], shell);
        Assert.Equal(exitCode, result.ExitCode);
        Assert.Contains("error: " + message, result.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(Output("differs"), "run.json")));
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_of_another_version_is_named_with_both_versions()
    {
        var other = AnotherBuild();
        var result = MpiRun.RunEach(MpiRun.OpenMpi, 2, [.. Options(steps: 3, microBatches: 2), "--output-dir", Output("versions")],
            $"[ $rank = 1 ] && set -- \"$1\" '{other}' \"${{@:3}}\"");
        Assert.Equal(2, result.ExitCode);
        Assert.Matches(@"error: rank 1 of 2 has another version of trainer than rank 0 \(9\S+ instead of \d\S+\)", result.Error);
        Assert.False(File.Exists(Path.Combine(Output("versions"), "run.json")));
    }

    /// <summary>The program again, whose training part says that it is of another version.</summary>
    private string AnotherBuild()
    {
        var (folder, copy) = (Path.GetDirectoryName(TrainerProgram.FilePath)!, Directory.CreateDirectory(Path.Combine(_folder.Path, "build")).FullName);
        // The host follows a link from the program to its folder; all else may lie elsewhere.
        foreach (var path in Directory.GetFileSystemEntries(folder))
        {
            var name = Path.GetFileName(path);
            if (name is "Trainer.Training.dll" || name.StartsWith("trainer.", StringComparison.Ordinal)) File.Copy(path, Path.Combine(copy, name));
            else File.CreateSymbolicLink(Path.Combine(copy, name), path);
        }
        var (library, version) = (Path.Combine(copy,
            "Trainer.Training.dll"), FileVersionInfo.GetVersionInfo(Path.Combine(folder, "Trainer.Training.dll")).ProductVersion!);
        var bytes = File.ReadAllBytes(library);
        var at = bytes.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(version));
        Assert.True(at > 0 && version[0] != '9');
        bytes[at] = (byte)'9';
        File.WriteAllBytes(library, bytes);
        return Path.Combine(copy, Path.GetFileName(TrainerProgram.FilePath));
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void Words_that_change_nothing_of_what_is_computed_may_differ()
    {
        var result = MpiRun.RunEach(MpiRun.OpenMpi, 2, [.. Options(steps: 1, microBatches: 2), "--output-dir", Output("words")],
            "[ $rank = 1 ] && set -- \"$@\" --max-memory 20GiB");
        Assert.True(result.ExitCode == 0, result.Error);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_checkpoint_that_rank_0_cannot_write_ends_all_and_leaves_no_half_of_it()
    {
        var output = Output("full");
        // 1.3 MB for one file: the values and metrics fit, the optimizer's state does not.
        var result = MpiRun.RunEach(MpiRun.OpenMpi, 2, [.. Options(steps: 40, microBatches: 2, "--save-steps", "2"), "--output-dir", output],
            "[ $rank = 0 ] && ulimit -f 1000", new Dictionary<string, string> { ["DOTNET_EnableWriteXorExecute"] = "0" });
        Assert.Equal(73, result.ExitCode);
        Assert.Contains("rank 0 of 2 on", result.Error, StringComparison.Ordinal);
        Assert.Contains("CannotWrite", File.ReadAllText(Path.Combine(output, "rank-0.error")), StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(output, "checkpoint-*"));
        Assert.Equal(0, TrainerProgram.Run([.. Options(steps: 40, microBatches: 2, "--save-steps", "2"), "--output-dir", output, "--resume"]).ExitCode);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_that_is_short_of_memory_is_named_and_all_end_with_a_checkpoint()
    {
        var (one, output) = (Output("one"), Output("short"));
        var options = Options(steps: 30, microBatches: 2);
        Assert.Equal(0, TrainerProgram.Run([.. options, "--output-dir", one]).ExitCode);
        var held = File.ReadLines(Path.Combine(one, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(row => row.TryGetProperty("memory_bytes", out _)).Max(row => row.GetProperty("memory_bytes").GetInt64());
        var planned = TrainerProgram.Run(["plan", .. options[1..], "--no-measure", "--json"]).Json().GetProperty("peak_bytes").GetInt64();
        Skip.If(planned + (4 << 20) > held, "the run holds no more than was planned");
        // Room for the plan, and not for the run.
        var result = MpiRun.RunEach(MpiRun.OpenMpi, 2, [.. options, "--output-dir", output],
            $"[ $rank = 1 ] && set -- \"$@\" --max-memory {(planned + held) / 2}");
        Assert.True(result.ExitCode is 75 or 4, result.Error);
        if (result.ExitCode == 75) Assert.NotEmpty(Directory.GetDirectories(output, "checkpoint-*"));
        Assert.Matches(result.ExitCode == 75 ? "rank 1 of 2 on .*: resident memory .* is above --max-memory" : "rank 1 of 2 on .* failed", result.Error);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void Mpi_that_is_asked_for_without_a_launcher_is_refused()
    {
        Skip.If(!File.Exists("/usr/bin/mpirun.openmpi"), "Open MPI is not installed");
        var result = TrainerProgram.Run([.. Options(steps: 1, microBatches: 1), "--distributed", "mpi", "--output-dir", Output("alone")]);
        Assert.Contains("no launcher started this process", Assert.Single(result.Faults(69)), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Output("alone")));
    }

    [Fact]
    public void Mpi_that_is_asked_for_and_absent_is_named_with_what_to_install()
    {
        var environment = new Dictionary<string, string> { ["TRAINER_MPI_LIBRARY"] = "/nowhere/libmpi.so" };
        var result = TrainerProgram.Run(new ProgramRun([.. Options(steps: 1, microBatches: 1), "--distributed", "mpi", "--output-dir",
            Output("none")]) { Environment = environment });
        Assert.Contains("'/nowhere/libmpi.so' cannot be loaded", Assert.Single(result.Faults(69)), StringComparison.Ordinal);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_that_is_killed_ends_the_run_and_another_number_of_ranks_goes_on_from_its_checkpoint()
    {
        var (whole, broken) = (Output("whole"), Output("broken"));
        var options = Options(steps: 40, microBatches: 2, "--save-steps", "2", "--save-total-limit", "0");
        Assert.Equal(0, TrainerProgram.Run([.. options, "--output-dir", whole]).ExitCode);
        var ranks = MpiRun.Start(MpiRun.OpenMpi, 2, [.. options, "--output-dir", broken]);
        WaitFor(() => Directory.Exists(Path.Combine(broken, "checkpoint-4")), ranks);
        var began = Stopwatch.GetTimestamp();
        Process.GetProcessById(Ranks(broken).Max()).Kill();
        Assert.NotEqual(0, MpiRun.Finish(ranks).ExitCode);
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0, 60);

        var resumed = TrainerProgram.Run([.. options, "--output-dir", broken, "--resume"]);
        Assert.True(resumed.ExitCode == 0, resumed.Error);
        AssertSameRun(whole, broken);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_that_hangs_ends_the_run_by_the_deadline()
    {
        var output = Output("hangs");
        var ranks = MpiRun.Start(MpiRun.OpenMpi, 2, [.. Options(steps: 4000, microBatches: 2, "--save-steps", "2"), "--output-dir", output],
            new Dictionary<string, string> { ["TRAINER_COLLECTIVE_TIMEOUT"] = "15" });
        WaitFor(() => Directory.Exists(Path.Combine(output, "checkpoint-2")), ranks);
        Signal(Ranks(output).Max(), 19);
        var result = MpiRun.Finish(ranks);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("waited 15 s for the other ranks", result.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(output, "rank-0.error")));
    }

    [SkippableTheory]
    [InlineData(MpiRun.OpenMpi)]
    [InlineData(MpiRun.Mpich)]
    [Trait("ring", "slow")]
    public void A_rank_that_never_starts_ends_the_others_by_the_deadline(string launcher)
    {
        // The library's own start waits for it, and no deadline between calls is reached.
        var result = MpiRun.RunEach(launcher, 2, [.. Options(steps: 1, microBatches: 2), "--output-dir", Output("absent")], "[ $rank = 1 ] && kill -STOP $$",
            new Dictionary<string, string> { ["TRAINER_COLLECTIVE_TIMEOUT"] = "3" });
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("did not come back within 8 s (in the start of the ranks)", result.Error, StringComparison.Ordinal);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_that_is_asked_to_stop_stops_all_with_one_checkpoint()
    {
        var output = Output("stops");
        var ranks = MpiRun.Start(MpiRun.OpenMpi, 2, [.. Options(steps: 4000, microBatches: 2, "--save-steps", "2"), "--output-dir", output]);
        WaitFor(() => Directory.Exists(Path.Combine(output, "checkpoint-2")), ranks);
        Signal(Ranks(output).Max(), 15);
        var result = MpiRun.Finish(ranks);
        Assert.Equal(130, result.ExitCode);
        Assert.Contains("trainer resume " + output, result.Error, StringComparison.Ordinal);
    }

    private static string[] Options(int steps, int microBatches, params string[] more) =>
    [
        "train", "--model", "tiny", "--data", "demo", "--max-steps", $"{steps}", "--gradient-accumulation-steps", $"{microBatches}", "--threads", "1",
        "--report-to", "none", "--logging-steps", "1",
        .. more.Contains("--save-steps") ? Array.Empty<string>() : ["--save-steps", "0"], .. more,
    ];

    private string Output(string name) => Path.Combine(_folder.Path, name);

    internal static void AssertSameRun(string expected, string actual)
    {
        Assert.Equal(Losses(expected).Length, Losses(actual).Length);
        Assert.All(Losses(expected).Zip(Losses(actual)), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1e-5));
        var (one, other) = (Values(expected), Values(actual));
        Assert.Equal(one.Length, other.Length);
        Assert.All(one.Zip(other), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1e-5f));
    }

    private static double[] Losses(string run) => [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
        .Select(row => (row.TryGetProperty("loss", out var loss) ? loss : row.GetProperty("eval_loss")).GetDouble())];

    // The tensors follow a header whose length stands in the first eight bytes.
    private static float[] Values(string run)
    {
        var bytes = File.ReadAllBytes(Path.Combine(run, "adapter_model.safetensors"));
        return MemoryMarshal.Cast<byte, float>(bytes.AsSpan(8 + (int)BitConverter.ToInt64(bytes))).ToArray();
    }

    internal static void WaitFor(Func<bool> condition, Process ranks)
    {
        for (var round = 0; round < 1200 && !condition(); round++)
        {
            Assert.False(ranks.HasExited, "the ranks ended too early");
            Thread.Sleep(50);
        }
        Assert.True(condition());
    }

    // The ranks' processes have the run folder in their command line; the launcher has it too and is no dotnet.
    private static int[] Ranks(string output)
        => [.. Process.GetProcessesByName("dotnet").Where(process => CommandLine(process.Id).Contains(output, StringComparison.Ordinal))
            .Select(process => process.Id)];

    private static string CommandLine(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/cmdline");
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static void Signal(int process, int number) => Process.Start("kill", ["-" + number, $"{process}"]).End();
}
