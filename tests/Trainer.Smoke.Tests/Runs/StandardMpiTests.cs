using System.Diagnostics;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>The standard interface of MPI 5, by a library that stands in for one over Open MPI (tests/fixtures/mpi): a handle that the standard does not have
/// ends it.</summary>
[Trait("ring", "smoke")]
public sealed class StandardMpiTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SkippableTheory]
    [Trait("ring", "slow")]
    [InlineData("libmpi_abi.so.0")]
    // Known by what it says of itself.
    [InlineData("libother.so")]
    public void Ranks_train_over_the_standard_interface_what_one_process_trains(string name)
    {
        var (one, many) = (Path.Combine(_folder.Path, "one"), Path.Combine(_folder.Path, "many"));
        var result = Run(name, many);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("2 ranks over the standard interface of MPI 5", result.Error, StringComparison.Ordinal);
        Assert.Equal(0, TrainerProgram.Run([.. Options, "--output-dir", one]).ExitCode);
        MpiTests.AssertSameRun(one, many);
    }

    [SkippableFact]
    [Trait("ring", "slow")]
    public void A_rank_that_is_stopped_when_the_run_is_complete_does_not_hold_its_launcher()
    {
        var output = Path.Combine(_folder.Path, "complete");
        var clock = Stopwatch.StartNew();
        var result = Run("libmpi_abi.so.0", output, ("STAND_IN_STOPS", "1"), ("TRAINER_COLLECTIVE_TIMEOUT", "2"));
        Assert.InRange(clock.Elapsed.TotalSeconds, 2, 60);
        Assert.Contains("rank 1 did not end within 2 s after the work was done", result.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(output, "adapter_model.safetensors")));
    }

    private static string[] Options => ["train", "--model", "tiny", "--data", "demo", "--max-steps", "3", "--gradient-accumulation-steps", "2", "--threads",
        "1", "--report-to", "none", "--logging-steps", "1", "--save-steps", "0"];

    private ProgramResult Run(string library, string output, params (string Name, string Value)[] variables)
    {
        Skip.IfNot(OperatingSystem.IsLinux() && File.Exists("/usr/bin/cc"), "no C compiler is here (apt-get install gcc)");
        Skip.IfNot(new[] { "/usr/lib/x86_64-linux-gnu/libmpi.so.40", "/usr/lib/aarch64-linux-gnu/libmpi.so.40" }.Any(File.Exists),
            "Open MPI's library is not installed");
        using var compiler = Process.Start(Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "mpi", "build.sh"), [_folder.Path]);
        compiler.End();
        Assert.Equal(0, compiler.ExitCode);
        var environment = variables.Append(("TRAINER_MPI_LIBRARY", Path.Combine(_folder.Path, library))).ToDictionary(pair => pair.Item1, pair => pair.Item2);
        return MpiRun.Run(MpiRun.OpenMpi, 2, [.. Options, "--output-dir", output], environment);
    }
}
