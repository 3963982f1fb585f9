namespace Trainer.Smoke.Tests.Runs;

/// <summary>A loss that is no number is a fault and not a measurement.</summary>
[Trait("ring", "smoke")]
public sealed class NoNumberTests
{
    [Theory]
    [InlineData("sft", "{\"text\": \"A banana is yellow.\"}")]
    [InlineData("dpo", "{\"prompt\": \"What is yellow?\", \"chosen\": \"A banana.\", \"rejected\": \"A plum.\"}")]
    public void An_evaluation_of_weights_that_run_over_ends_with_the_row(string objective, string row)
    {
        using var folder = new TemporaryFolder();
        var model = Path.Combine(folder.Path, "model");
        TemporaryFolder.Copy(Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model"), model);
        var weights = Path.Combine(model, "model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        // The last quarter: finite numbers that no product holds, 0x7f7f in 16 or 32 bits.
        Array.Fill(bytes, (byte)0x7f, bytes.Length * 3 / 4, bytes.Length / 4);
        File.WriteAllBytes(weights, bytes);

        var result = TrainerProgram.RunWarm("eval", "--model", model, "--data", folder.File("rows.jsonl", row + "\n"), "--objective", objective, "--json");

        var fault = Assert.Single(result.Faults(3));
        Assert.Contains("rows.jsonl:1 is NaN or infinite", fault, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }
}
