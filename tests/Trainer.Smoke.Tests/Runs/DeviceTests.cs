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
        string[] words = command == "generate" ? ["generate", "--prompt", "hello"] : command == "train" ? ["train", "--data", "demo", "--output-dir", "run"] : [command, "--data", "demo"];
        var result = TrainerProgram.Run(new ProgramRun([.. words, "--model", "tiny", "--device", device]) { Directory = folder.Path });
        var fault = Assert.Single(result.Faults(69));
        Assert.StartsWith(named, fault, StringComparison.Ordinal);
        Assert.EndsWith("pass --device cpu", fault, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:x")]
    [InlineData("cuda:-1")]
    public void A_word_that_is_no_device_is_a_fault_of_usage(string device)
        => Assert.Contains("is not one of auto, cpu, cuda, cuda:N, mps", Assert.Single(TrainerProgram.Run("eval", "--model", "tiny", "--data", "demo", "--device", device).Faults(2)), StringComparison.Ordinal);
}
