using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Evaluations and checkpoints by epochs, and the cache of tokens between commands.</summary>
[Trait("ring", "smoke")]
public sealed class EpochPaceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private ProgramResult Train(params string[] words)
    {
        var data = _folder.File("train.jsonl", string.Concat(Enumerable.Range(0, 4).Select(i => $"{{\"text\": \"a b c {i}\"}}\n")));
        var held = _folder.File("held.jsonl", "{\"text\": \"a b\"}\n");
        return TrainerProgram.RunWarm(new ProgramRun(["train", "--model", "tiny", "--data", data, "--eval-data", held, "--batch-size", "1",
            "--gradient-accumulation-steps", "1", "--report-to", "none", "--output-dir", "run", .. words])
        { Directory = _folder.Path, Environment = new Dictionary<string, string> { ["TRAINER_CACHE"] = Path.Combine(_folder.Path, "cache") } });
    }

    [Fact]
    public void A_run_evaluates_and_saves_at_the_end_of_each_epoch_and_its_tokens_are_found_again()
    {
        var result = Train("--epochs", "2", "--eval-strategy", "epoch", "--save-strategy", "epoch");
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal(["checkpoint-4", "checkpoint-8"],
            Directory.GetDirectories(Path.Combine(_folder.Path, "run"), "checkpoint-*").Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        var evaluated = File.ReadLines(Path.Combine(_folder.Path, "run", "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(row => row.TryGetProperty("eval_loss", out _)).Select(row => row.GetProperty("step").GetInt64());
        Assert.Equal([0L, 4, 8], evaluated);
        Assert.Equal(2, Directory.GetFiles(Path.Combine(_folder.Path, "cache", "tokens"), "*.tokens").Length);
        var again = Train("--overwrite-output-dir", "--max-steps", "1");
        Assert.Contains("from the cache", again.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_number_below_1_is_a_share_of_all_steps_rounded_up()
    {
        var result = Train("--max-steps", "5", "--eval-steps", "0.3", "--save-steps", "0.5", "--save-total-limit", "0");
        Assert.True(result.ExitCode == 0, result.Error);
        // An evaluation that is the best so far is saved too: at 2 and 4.
        Assert.All(new[] { 3, 5 }, step => Assert.True(Directory.Exists(Path.Combine(_folder.Path, "run", $"checkpoint-{step}"))));
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "run", "checkpoint-1")));
        var evaluated = File.ReadLines(Path.Combine(_folder.Path, "run", "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(row => row.TryGetProperty("eval_loss", out _)).Select(row => row.GetProperty("step").GetInt64());
        Assert.Equal([0L, 2, 4, 5], evaluated);
        Assert.Contains("a share of all steps", Assert.Single(Train("--max-steps", "5", "--eval-steps", "1.5").Faults(2)), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_words_on_when_to_evaluate_are_one_too_many() =>
        Assert.Contains("keep one", Assert.Single(Train("--eval-strategy", "epoch", "--eval-steps", "2").Faults(2)), StringComparison.Ordinal);

    [Fact]
    public void A_named_template_is_taken_and_the_recipe_names_it()
    {
        var result = TrainerProgram.RunWarm(new ProgramRun("train", "--model", "tiny", "--data", "demo", "--chat-template", "Llama-3",
            "--dry-run") { Directory = _folder.Path });
        Assert.Contains("chat_template: llama3", result.Output, StringComparison.Ordinal);
        var fault = Assert.Single(TrainerProgram.RunWarm(new ProgramRun("train", "--model", "tiny", "--data", "demo", "--chat-template", "lama3",
            "--dry-run") { Directory = _folder.Path }).Faults(2));
        Assert.Contains("the named ones are alpaca, chatml", fault, StringComparison.Ordinal);
    }
}
