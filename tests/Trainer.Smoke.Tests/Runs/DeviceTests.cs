namespace Trainer.Smoke.Tests.Runs;

/// <summary>A device that is not there is refused before anything is read or written.</summary>
[Trait("ring", "smoke")]
public sealed class DeviceTests
{
    [Theory]
    [InlineData("train", "cuda", "--device cuda: ")]
    [InlineData("plan", "cuda:3", "--device cuda:3: ")]
    [InlineData("eval", "mps", "--device mps: ")]
    [InlineData("generate", "CUDA:0", "--device cuda:0: ")]
    public void A_device_that_cannot_be_used_is_refused_with_the_reason_and_the_way_out(string command, string device, string named)
    {
        using var folder = new TemporaryFolder();
        string[] words = command == "generate" ? ["generate", "--prompt", "hello"]
            : command == "train" ? ["train", "--data", "demo", "--output-dir", "run"] : [command, "--data", "demo"];
        var result = TrainerProgram.RunWarm(new ProgramRun([.. words, "--model", "tiny", "--device", device]) { Directory = folder.Path });
        var fault = Assert.Single(result.Faults(69));
        Assert.StartsWith(named, fault, StringComparison.Ordinal);
        Assert.EndsWith("pass --device cpu", fault, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    // A plan for a device of a stated size needs none here; a run does, and one that does not fit is refused by the plan wherever it is made.
    [Theory]
    [InlineData("plan", "cuda", "8GiB", "float32", 0, "")]
    [InlineData("plan", "cuda:1", "100MiB", "float32", 4, "of the device's memory, 100 MiB are there")]
    [InlineData("train", "cuda", "8GiB", "float32", 69, "--device cuda: ")]
    [InlineData("train", "libtorch", "5MiB", "float32", 4, "of the device's memory, 5.0 MiB are there")]
    [InlineData("dry", "libtorch", "5MiB", "float32", 4, "of the device's memory, 5.0 MiB are there")]
    [InlineData("plan", "cpu", "8GiB", "float32", 2, "--device-memory is of a graphics processor")]
    [InlineData("plan", "cuda", "8GiB", "int8", 2, "--dtype int8 is multiplied by the processor alone, not by --device cuda")]
    [InlineData("train", "mps", "8GiB", "int8", 2, "not by --device mps")]
    public void The_memory_of_a_device_decides(string command, string device, string memory, string type, int code, string told)
    {
        using var folder = new TemporaryFolder();
        string[] run = command == "plan" ? ["plan", "--no-measure"] : command == "dry" ? ["train", "--output-dir", "run", "--dry-run"]
            : ["train", "--output-dir", "run"];
        string[] words = [.. run, "--model", "tiny", "--data", "demo", "--device", device, "--device-memory", memory, "--dtype", type, "--quantize", "nf4"];
        var result = TrainerProgram.RunWarm(new ProgramRun(words) { Directory = folder.Path,
            Environment = new Dictionary<string, string> { ["TRAINER_CACHE"] = Path.Combine(folder.Path, "cache") } });
        if (code != 0) Assert.Contains(told, Assert.Single(result.Faults(code)), StringComparison.Ordinal);
        else Assert.Contains($"memory of {device}", result.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(folder.Path, "run")));
    }

    // The way of any device, with the processor standing in for one.
    [Fact]
    [Trait("ring", "slow")]
    public void A_device_trains_evaluates_speaks_and_proves_itself()
    {
        using var folder = new TemporaryFolder();
        var cache = new Dictionary<string, string> { ["TRAINER_CACHE"] = Path.Combine(folder.Path, "cache") };
        ProgramResult Run(params string[] words) => TrainerProgram.RunWarm(new ProgramRun(words) { Directory = folder.Path, Environment = cache });
        string[] device = ["--device", "libtorch", "--threads", "1"];
        var train = Run(["train", "--model", "tiny", "--data", "demo", "--max-steps", "3", "--output-dir", "run", .. device]);
        Assert.True(train.ExitCode == 0, train.Error);
        Assert.Contains("computing on the processor, by libtorch's operations", train.Error + train.Output, StringComparison.Ordinal);
        Assert.Contains("note: first use of the processor, by libtorch's operations", train.Error, StringComparison.Ordinal);
        double Loss(params string[] where) => Run(["eval", "--model", "tiny", "--adapter", "run", "--data", "demo", "--json", .. where]).Json()
            .GetProperty("loss").GetDouble();
        Assert.Equal(Loss("--threads", "1"), Loss(device), 1e-5);
        string Words(params string[] where)
            => Run(["generate", "--model", "tiny", "--adapter", "run", "--prompt", "hello", "--max-tokens", "8", "--temperature", "0", .. where]).Output;
        Assert.Equal(Words("--threads", "1"), Words(device));
        // Proven once: later uses only find that.
        Assert.DoesNotContain("first use", Run(["eval", "--model", "tiny", "--data", "demo", .. device]).Error, StringComparison.Ordinal);
        var proof = Run("selftest", "--device", "libtorch");
        Assert.True(proof.ExitCode == 0, proof.Output);
        Assert.Contains("agrees with the processor: mean loss, a base as stored: ", proof.Output, StringComparison.Ordinal);
        Assert.Contains("losses of 10 steps: ", proof.Output, StringComparison.Ordinal);
        Assert.Contains("int8 is multiplied by the processor alone",
            Assert.Single(Run(["train", "--model", "tiny", "--data", "demo", "--dtype", "int8", .. device]).Faults(2)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:x")]
    [InlineData("cuda:-1")]
    public void A_word_that_is_no_device_is_a_fault_of_usage(string device)
        => Assert.Contains("is not one of auto, cpu, cuda, cuda:N, mps",
            Assert.Single(TrainerProgram.RunWarm("eval", "--model", "tiny", "--data", "demo", "--device", device).Faults(2)), StringComparison.Ordinal);
}
