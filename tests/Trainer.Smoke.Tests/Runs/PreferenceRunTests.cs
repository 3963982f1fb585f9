using System.Text;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>A preference run through the built program: what it measures stands in every place where a user looks.</summary>
[Trait("ring", "smoke")]
public sealed class PreferenceRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_measured_stands_in_rows_log_curves_report_and_state()
    {
        var data = Pairs();
        var run = Path.Combine(_folder.Path, "run");
        var result = TrainerProgram.RunWarm("train", "--model", "tiny", "--data", data, "--eval-data", _folder.File("held.jsonl", File.ReadAllText(data)),
            "--objective", "dpo", "--max-steps", "6", "--batch-size", "2", "--learning-rate", "2e-3", "--logging-steps", "1",
            "--eval-steps", "3", "--metric-for-best-model", "eval_rewards/accuracies", "--max-seq-length", "256", "--output-dir", run);
        Assert.True(result.ExitCode == 0, result.Error);
        var rows = File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        var (steps, evals) = (rows.Where(row => row.TryGetProperty("loss", out _)).ToList(),
            rows.Where(row => row.TryGetProperty("eval_loss", out _)).ToList());
        Assert.Equal((6, 3), (steps.Count, evals.Count));
        string[] names = ["rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected"];
        Assert.All(names, name => Assert.All(steps, row => Assert.True(row.TryGetProperty(name, out _))));
        Assert.All(names, name => Assert.All(evals, row => Assert.True(row.TryGetProperty("eval_" + name, out _))));
        Assert.All(evals, row => Assert.False(row.TryGetProperty("eval_perplexity", out _)));

        Assert.Contains("answers: 6 pairs", result.Error, StringComparison.Ordinal);
        Assert.Contains("accuracy", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("perplexity", result.Error, StringComparison.Ordinal);
        var curves = string.Concat(Directory.GetFiles(Path.Combine(run, "runs")).Select(file => Encoding.Latin1.GetString(File.ReadAllBytes(file))));
        Assert.All(names, name => Assert.True(curves.Contains("train/" + name, StringComparison.Ordinal)
            && curves.Contains("eval/" + name, StringComparison.Ordinal), name));
        Assert.DoesNotContain("eval/perplexity", curves, StringComparison.Ordinal);
        var page = File.ReadAllText(Path.Combine(run, "report.html"));
        Assert.All(names, name => Assert.Contains($$"""{"name":"{{name}}","steps":[[1,""", page, StringComparison.Ordinal));
        var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "trainer_state.json"))).RootElement;
        Assert.Equal(evals.Skip(1).Max(row => row.GetProperty("eval_rewards/accuracies").GetDouble()), state.GetProperty("best_metric").GetDouble());

        // By the run's own objective, of the adapter and of the base; or as text.
        var measured = TrainerProgram.RunWarm("eval", run, "--data", data, "--quantize", "nf4", "--json").Json();
        Assert.Equal("dpo", measured.GetProperty("objective").GetString());
        Assert.Equal(evals[^1].GetProperty("eval_rewards/margins").GetDouble(), measured.GetProperty("metrics").GetProperty("rewards/margins").GetDouble(),
            1e-3);
        Assert.Equal(Math.Log(2), measured.GetProperty("base").GetProperty("loss").GetDouble(), 1e-6);
        var lines = TrainerProgram.RunWarm("eval", run, "--data", data, "--objective", "simpo", "--per-row").Output.TrimEnd().Split('\n');
        Assert.Equal(8, lines.Length);
        Assert.StartsWith("adapter: loss ", lines[6], StringComparison.Ordinal);
        Assert.StartsWith("base: loss ", lines[7], StringComparison.Ordinal);
        Assert.True(TrainerProgram.RunWarm("eval", run, "--data", "demo", "--objective", "sft", "--json").Json().TryGetProperty("perplexity", out _));
        var refused = TrainerProgram.RunWarm("eval", run, "--data", data, "--objective", "sft", "--beta", "0.2");
        Assert.True(refused.ExitCode == 2 && refused.Error.Contains("--beta has a meaning with --objective dpo", StringComparison.Ordinal), refused.Error);
    }

    [Fact]
    public void Data_show_draws_both_sides_and_data_check_counts_them()
    {
        var data = Pairs();
        var shown = TrainerProgram.RunWarm("data", "show", "--model", "tiny", "--data", data, "--rows", "1").Output;
        Assert.Contains("-- chosen: ", shown, StringComparison.Ordinal);
        Assert.Contains("-- rejected: ", shown, StringComparison.Ordinal);
        var row = JsonDocument.Parse(TrainerProgram.RunWarm("data", "show", "--model", "tiny", "--data", data, "--json").Output).RootElement[0];
        Assert.Equal(["chosen", "rejected"], row.GetProperty("sides").EnumerateArray().Select(side => side.GetProperty("role").GetString()!));
        Assert.All(row.GetProperty("labels").EnumerateArray(), label => Assert.True(label.GetInt32() >= -100));
        var side = row.GetProperty("sides")[0];
        var spans = side.GetProperty("trained_spans").EnumerateArray()
            .Select(span => side.GetProperty("text").GetString()![span[0].GetInt32()..span[1].GetInt32()]);
        Assert.StartsWith("Arr 0", Assert.Single(spans), StringComparison.Ordinal);
        var plan = TrainerProgram.RunWarm("plan", "--model", "tiny", "--data", data, "--objective", "dpo", "--json");
        Assert.True(plan.ExitCode == 0, plan.Error);
        Assert.Equal(6, plan.Json().GetProperty("rows").GetInt32());

        var labels = _folder.File("labels.jsonl",
            string.Concat(Enumerable.Range(0, 4).Select(i => JsonSerializer.Serialize(new { prompt = $"Q{i}", completion = "A", label = i > 0 }) + "\n")));
        var check = TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", labels, "--objective", "kto");
        Assert.Contains("answers: 3 wanted answers, 1 unwanted answers; ", check.Output, StringComparison.Ordinal);
        Assert.Contains("--undesirable-weight 3", check.Output, StringComparison.Ordinal);
        Assert.Equal(3, TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", labels, "--objective", "kto",
            "--json").Json().GetProperty("answers")
            .GetProperty("wanted").GetInt32());
    }

    private string Pairs() => _folder.File("pairs.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => JsonSerializer.Serialize(new
    {
        prompt = new[] { new { role = "user", content = $"Question {i}?" } }, chosen = new[] { new { role = "assistant", content = $"Arr {i}, matey!" } },
        rejected = new[] { new { role = "assistant", content = $"Number {i}." } },
    }) + "\n")));
}
