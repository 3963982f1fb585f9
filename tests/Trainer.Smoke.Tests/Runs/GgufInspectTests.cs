namespace Trainer.Smoke.Tests.Runs;

[Trait("ring", "smoke")]
public sealed class GgufInspectTests
{
    [Fact]
    public void A_model_exported_as_gguf_is_told_apart_from_data()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "tiny.gguf");

        var export = TrainerProgram.RunWarm("export", "--model", "tiny", "--format", "gguf", "--output", file);
        Assert.True(export.ExitCode == 0, export.Error);
        var facts = TrainerProgram.RunWarm("inspect", file, "--json").Json();

        Assert.Equal("gguf", facts.GetProperty("kind").GetString());
        Assert.Equal("llama", facts.GetProperty("architecture").GetString());
        Assert.True(facts.GetProperty("tensor_count").GetInt32() > 10);
    }

    [Fact]
    public void A_file_that_only_calls_itself_gguf_is_refused()
    {
        using var folder = new TemporaryFolder();

        var fault = Assert.Single(TrainerProgram.RunWarm("inspect", folder.File("x.gguf", "no such thing")).Faults(65));

        Assert.Contains("x.gguf", fault);
    }

    [Fact]
    public void A_model_in_four_bits_has_as_many_parameters_as_its_original()
    {
        using var folder = new TemporaryFolder();
        var quantized = Path.Combine(folder.Path, "q");
        Assert.Equal(0, TrainerProgram.RunWarm("quantize", "--model", "tiny", "--output", quantized).ExitCode);
        var facts = TrainerProgram.RunWarm("inspect", quantized, "--json").Json();
        Assert.Equal(TrainerProgram.RunWarm("inspect", "tiny", "--json").Json().GetProperty("parameters").GetInt64(),
            facts.GetProperty("parameters").GetInt64());
        Assert.Equal("nf4, scales quantized too", facts.GetProperty("quantization").GetString());
    }
}
