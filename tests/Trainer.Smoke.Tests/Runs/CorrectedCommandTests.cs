namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class CorrectedCommandTests
{
    [Fact]
    [Trait("ring", "slow")]
    public void A_command_that_failed_before_its_first_step_can_be_corrected_and_typed_again()
    {
        using var folder = new TemporaryFolder();
        var output = Path.Combine(folder.Path, "run");
        string[] train = ["train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--gradient-accumulation-steps", "1", "--output-dir", output];

        TrainerProgram.Run([.. train, "--target-modules", "nothing_like_it"]).Faults(2);
        var corrected = TrainerProgram.Run([.. train, "--lora-rank", "4"]);

        Assert.True(corrected.ExitCode == 0, corrected.Error);
        Assert.True(File.Exists(Path.Combine(output, "adapter_model.safetensors")));
    }
}
