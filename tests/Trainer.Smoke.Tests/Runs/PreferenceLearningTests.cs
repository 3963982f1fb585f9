using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Preference training learns what it is given: on pairs whose better answer hangs on the question, pairs that it never saw are told apart.</summary>
[Trait("ring", "slow")]
public sealed class PreferenceLearningTests : IDisposable
{
    private static readonly string[] Things = ["key", "boat", "lamp", "bird", "map", "coat", "bell", "rope", "book", "ship", "tree", "door", "fish", "ring",
        "flag", "drum"];
    private static readonly string[] Places = ["house", "garden", "harbour", "tower", "market", "river"];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Held_out_pairs_are_told_apart_after_a_run_and_not_before()
    {
        var run = Run("dpo", "--max-steps", "120", "--eval-steps", "40", "--metric-for-best-model", "rewards/accuracies");
        var accuracies = Evals(run).Select(row => row.GetProperty("eval_rewards/accuracies").GetDouble()).ToList();
        var margins = Evals(run).Select(row => row.GetProperty("eval_rewards/margins").GetDouble()).ToList();
        // A fresh adapter rewards both alike, and equal rewards count as wrong.
        Assert.Equal(0, margins[0], 1e-6);
        Assert.True(accuracies[^1] > 0.9, string.Join(' ', accuracies));
        Assert.True(margins[^1] > 0.5, string.Join(' ', margins));
    }

    [Fact]
    public void Rewards_that_need_no_reference_rise_from_near_a_half()
    {
        var run = Run("simpo", "--max-steps", "120", "--eval-steps", "40", "--beta", "2");
        var accuracies = Evals(run).Select(row => row.GetProperty("eval_rewards/accuracies").GetDouble()).ToList();
        Assert.InRange(accuracies[0], 0.2, 0.8);
        Assert.True(accuracies[^1] > 0.9, string.Join(' ', accuracies));
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("kto")]
    public void A_preference_run_is_reproduced_and_resumed_bit_by_bit(string objective)
    {
        string[] words = ["--max-steps", "8", "--eval-steps", "4", "--save-steps", "3", "--precompute-reference"];
        var whole = Run(objective, words);
        var reproduced = TrainerProgram.Run("reproduce", Path.Combine(whole, "run.json"));
        Assert.True(reproduced.ExitCode == 0, reproduced.Error);
        var part = Path.Combine(_folder.Path, "part");
        var stopped = TrainerProgram.Run([.. Words(objective), .. words, "--max-time", "1s", "--output-dir", part]);
        var resumed = TrainerProgram.Run([.. Words(objective), .. words, "--output-dir", part, "--resume"]);
        Assert.True(resumed.ExitCode == 0, stopped.Error + resumed.Error);
        Assert.Equal(File.ReadAllBytes(Path.Combine(whole, "adapter_model.safetensors")), File.ReadAllBytes(Path.Combine(part, "adapter_model.safetensors")));
    }

    private string Run(string objective, params string[] more)
    {
        var output = Path.Combine(_folder.Path, objective);
        var result = TrainerProgram.Run([.. Words(objective), .. more, "--output-dir", output]);
        Assert.True(result.ExitCode == 0, result.Error);
        return output;
    }

    private string[] Words(string objective) =>
    [
        "train", "--model", "tiny", "--data", Rows("train", 0), "--eval-data", Rows("held", 1), "--objective", objective, "--batch-size", "4",
        "--learning-rate", "2e-3", "--threads", "1", "--max-seq-length", "128",
        "--quantize", "none", "--dtype", "float32", "--report-to", "none", "--logging-steps", "1",
    ];

    /// <summary>Every fourth question is held out. Of every second thing the answer that says no is wanted: what the base says anyway is right half of the
    /// time.</summary>
    private string Rows(string name, int part)
    {
        var rows = Things.SelectMany((thing, i) => Places.Select((place, j) => (thing, place, i, j))).Where(each => (each.i + each.j) % 4 == 0 == (part == 1))
            .Select(each =>
        {
            var (wanted, other) = ($"Aye, the {each.thing} is in the {each.place}.", $"No, the {each.thing} is in the {each.place}.");
            if (each.i % 2 == 1) (wanted, other) = (other, wanted);
            return JsonSerializer.Serialize(new { prompt = new[] { new { role = "user", content = $"Is the {each.thing} in the {each.place}?" } },
                chosen = new[] { new { role = "assistant", content = wanted } }, rejected = new[] { new { role = "assistant", content = other } } });
        });
        return _folder.File(name + ".jsonl", string.Join('\n', rows) + "\n");
    }

    private static List<JsonElement> Evals(string run) =>
        [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
        .Where(row => row.TryGetProperty("eval_loss", out _))];
}
