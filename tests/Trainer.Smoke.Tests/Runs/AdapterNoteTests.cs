namespace Trainer.Smoke.Tests.Runs;

/// <summary>What is said of an adapter and the base it is used with: true, and only where it matters.</summary>
[Trait("ring", "smoke")]
public sealed class AdapterNoteTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void An_adapter_of_a_4_bit_base_is_spoken_of_on_the_original_and_not_on_a_4_bit_folder()
    {
        var (run, four) = (At("run"), At("four"));
        Assert.Equal(0, TrainerProgram.RunWarm("train", "--model", "tiny", "--data", "demo", "--max-steps", "1", "--report-to", "none", "--quantize", "nf4",
            "--save-steps", "0", "--output-dir", run).ExitCode);
        Assert.Equal(0, TrainerProgram.RunWarm("quantize", "--model", "tiny", "--output-dir", four).ExitCode);
        var data = _folder.File("rows.jsonl", "{\"text\": \"A banana is yellow.\"}\n");
        string Said(string model)
        {
            var result = TrainerProgram.RunWarm("eval", "--model", model, "--adapter", run, "--data", data);
            Assert.True(result.ExitCode == 0, result.Error);
            return result.Error;
        }
        const string Note = "trained on a base held as nf4; the base is used as stored here";
        Assert.Contains(Note, Said("tiny"), StringComparison.Ordinal);
        Assert.DoesNotContain(Note, Said(four), StringComparison.Ordinal);
    }

    [Fact]
    public void A_sliding_window_that_llama_cpp_does_not_have_is_noted_for_an_adapter_as_for_the_model()
    {
        var model = At("mistral");
        TemporaryFolder.Copy(Path.Combine(Path.GetDirectoryName(TrainerProgram.FilePath)!, "configs", "tiny-model"), model);
        var config = Path.Combine(model, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"model_type\": \"llama\"", "\"model_type\": \"mistral\", \"sliding_window\": 16",
            StringComparison.Ordinal));
        Assert.Equal(0, TrainerProgram.RunWarm("train", "--model", model, "--data", "demo", "--max-steps", "1", "--report-to", "none", "--save-steps", "0",
            "--output-dir", At("run")).ExitCode);
        foreach (var words in new string[][] { ["--adapter", At("run")], ["--model", model] })
        {
            var result = TrainerProgram.RunWarm(["export", .. words, "--output", At($"{words[0]}.gguf")]);
            Assert.True(result.ExitCode == 0, result.Error);
            Assert.Contains("attends to 16 tokens back, llama.cpp to all of them", result.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void What_is_not_there_is_named_by_the_words_that_were_typed()
    {
        var fault = Assert.Single(TrainerProgram.RunWarm("inspect", At("nothing")).Faults(69));
        Assert.StartsWith($"'{At("nothing")}'", fault, StringComparison.Ordinal);
        Assert.DoesNotContain("--model", fault, StringComparison.Ordinal);
    }

    private string At(string name) => Path.Combine(_folder.Path, name);
}
