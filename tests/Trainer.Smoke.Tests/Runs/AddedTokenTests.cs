using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>A run that adds tokens: planned, trained, stopped and resumed to the same bytes, spoken with, merged.</summary>
[Trait("ring", "slow")]
public sealed class AddedTokenTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void New_tokens_are_learnt_and_spoken_and_a_resumed_run_is_the_same()
    {
        var data = _folder.File("data.jsonl",
            string.Concat(
            Enumerable.Repeat("""{"messages":[{"role":"user","content":"Say it."},{"role":"assistant","content":"Krakenwort <|tool|> Krakenwort"}]}""" + "\n",
            6)));
        var tokens = _folder.File("tokens.txt", "<|tool|>\nKrakenwort\n");
        string[] words = ["--model", "tiny", "--data", data, "--add-tokens", tokens, "--lora-rank", "4", "--learning-rate", "1e-2", "--batch-size", "2",
            "--gradient-accumulation-steps", "1", "--threads", "1", "--report-to", "none"];
        var whole = Ok(["train", .. words, "--max-steps", "24", "--output-dir", "whole"]);
        Assert.Contains("the tables grow from 768 to 770 rows", whole.Error, StringComparison.Ordinal);
        Ok(["train", .. words, "--max-steps", "24", "--save-steps", "8", "--max-time", "1000s", "--output-dir", "parts"]);
        Directory.Delete(Path.Combine(_folder.Path, "parts", "checkpoint-24"), recursive: true);
        Directory.Delete(Path.Combine(_folder.Path, "parts", "checkpoint-16"), recursive: true);
        Ok(["train", .. words, "--max-steps", "24", "--save-steps", "8", "--output-dir", "parts", "--resume", "auto"]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder.Path, "whole", "adapter_model.safetensors")),
            File.ReadAllBytes(Path.Combine(_folder.Path, "parts", "adapter_model.safetensors")));
        string[] asked = ["--prompt", "Say it.", "--temperature", "0", "--max-tokens", "8"];
        Assert.Contains("Krakenwort <|tool|> Krakenwort", Ok(["generate", "whole", .. asked]).Output, StringComparison.Ordinal);
        Ok(["merge", "whole", "--output", "merged"]);
        Assert.Contains("Krakenwort <|tool|> Krakenwort", Ok(["generate", "--model", "merged", .. asked]).Output, StringComparison.Ordinal);
        var rows =
            JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder.Path, "whole", "adapter_config.json"))).RootElement.GetProperty("trainable_token_indices")
            .EnumerateArray().Select(id => id.GetInt32());
        Assert.Equal([768, 769], rows);
        // The file of tokens belongs to what the run is.
        _folder.File("tokens.txt", "<|tool|>\n");
        var fault = Assert.Single(Run(["train", .. words, "--max-steps", "24", "--output-dir", "parts", "--resume", "auto"]).Faults(2));
        Assert.Contains("cannot be resumed as it was", fault, StringComparison.Ordinal);
        _folder.File("tokens.txt", "\n");
        Assert.Contains("holds no token", Assert.Single(Run(["train", .. words, "--output-dir", "none"]).Faults(2)), StringComparison.Ordinal);
    }

    private ProgramResult Ok(string[] words)
    {
        var result = Run(words);
        Assert.True(result.ExitCode == 0, result.Error);
        return result;
    }

    private ProgramResult Run(string[] words) =>
        TrainerProgram.Run(new ProgramRun(words) { Directory = _folder.Path,
        Environment = new Dictionary<string, string> { ["TRAINER_CACHE"] = Path.Combine(_folder.Path, "cache") } });
}
