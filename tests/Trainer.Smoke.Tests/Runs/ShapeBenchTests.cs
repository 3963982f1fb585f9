namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class ShapeBenchTests
{
    [Fact]
    public void A_shape_is_measured_with_random_weights_beside_the_machines_ceilings()
    {
        var result = TrainerProgram.Run("bench", "--shape", "tiny", "--seq", "48", "--layers", "3", "--steps", "2", "--json").Json();

        Assert.Equal(3, result.GetProperty("layers").GetInt32());
        Assert.Equal(48, result.GetProperty("sequence").GetInt32());
        Assert.Equal(2, result.GetProperty("step_seconds").GetArrayLength());
        Assert.True(result.GetProperty("copy_bytes_per_second").GetDouble() > 1e8);
        Assert.True(result.GetProperty("ceiling_flops_per_second").GetDouble() > 1e8);
        Assert.Equal(["products", "adapters", "attention", "elementwise", "loss", "optimizer", "other"],
            result.GetProperty("seconds_by_part").EnumerateObject().Select(part => part.Name));
    }

    [Fact]
    public void The_sizes_of_a_configuration_are_a_shape()
    {
        using var folder = new TemporaryFolder();
        folder.File("config.json",
            """{"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "rms_norm_eps": 1e-5}""");

        var result = TrainerProgram.Run("bench", "--shape", folder.Path, "--seq", "8", "--steps", "1");

        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("multiply-add peak", result.Output);
        Assert.Contains("tensors without gradient 0", result.Output);
    }

    [Theory]
    [InlineData("--data", "bench", "--shape", "tiny", "--data", "demo")]
    [InlineData("--seq", "bench", "--seq", "5")]
    [InlineData("'huge'", "bench", "--shape", "huge")]
    public void What_does_not_go_together_is_refused(string named, params string[] line)
    => Assert.Contains(named, Assert.Single(TrainerProgram.Run(line).Faults(2)));
}
