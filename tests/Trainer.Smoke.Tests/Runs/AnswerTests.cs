using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Answers of a model compared with those of the data: by eval, and on the way of a run.</summary>
[Trait("ring", "smoke")]
public sealed class AnswerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Rows()
    {
        string Row(string question, string answer)
            => JsonSerializer.Serialize(new { messages = new object[] { new { role = "user", content = question },
                new { role = "assistant", content = answer } } });
        return _folder.File("rows.jsonl", Row("What colour is a banana?", "A banana is yellow.") + "\n" + Row("What colour is a banana?", "It is red.") + "\n");
    }

    [Fact]
    public void The_base_s_answers_are_scored_and_written_row_by_row()
    {
        var run = TrainerProgram.RunWarm(new ProgramRun("eval", "tiny", "--data", Rows(), "--generate", "--metric", "exact_match,contains", "--max-tokens",
            "20",
            "--per-row", "--output", "answers.jsonl", "--json") { Directory = _folder.Path });
        var answer = run.Json();
        Assert.Equal(2, answer.GetProperty("answered").GetInt32());
        Assert.Equal(0.5, answer.GetProperty("metrics").GetProperty("exact_match").GetDouble());
        Assert.False(answer.TryGetProperty("base_metrics", out _));
        var rows = File.ReadLines(Path.Combine(_folder.Path, "answers.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["A banana is yellow.", "A banana is yellow."], rows.Select(row => row.GetProperty("text").GetString()));
        Assert.Equal([1.0, 0], rows.Select(row => row.GetProperty("metrics").GetProperty("exact_match").GetDouble()));
        Assert.Equal(2, answer.GetProperty("rows").GetArrayLength());
    }

    [Fact]
    public void Options_of_answers_need_generate_and_a_choice_needs_letters()
    {
        Assert.Contains("--generate",
            Assert.Single(TrainerProgram.RunWarm(new ProgramRun("eval", "tiny", "--data", Rows(), "--metric", "f1") { Directory = _folder.Path }).Faults(2)),
            StringComparison.Ordinal);
        Assert.Contains("'fi'",
            Assert.Single(TrainerProgram.RunWarm(new ProgramRun("eval", "tiny", "--data", Rows(), "--generate", "--metric", "fi") { Directory = _folder.Path })
            .Faults(2)), StringComparison.Ordinal);
        Assert.Contains("names no letter",
            Assert.Single(TrainerProgram.RunWarm(new ProgramRun("eval", "tiny", "--data", Rows(), "--generate", "--metric",
                "choice") { Directory = _folder.Path })
            .Faults(65)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_measures_answers_at_each_evaluation_and_keeps_the_best_by_them()
    {
        var run = TrainerProgram.RunWarm(new ProgramRun("train", "--model", "tiny", "--data", "demo", "--eval-data", Rows(), "--max-steps", "2", "--eval-steps",
            "1", "--eval-metrics", "exact_match,f1", "--answer-tokens", "20",
            "--metric-for-best-model", "f1", "--learning-rate", "1e-9", "--output-dir", "run") { Directory = _folder.Path });
        Assert.True(run.ExitCode == 0, run.Error);
        var scores = File.ReadLines(Path.Combine(_folder.Path, "run", "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(row => row.TryGetProperty("eval_exact_match", out _)).ToList();
        Assert.Equal([0L, 1, 2], scores.Select(row => row.GetProperty("step").GetInt64()));
        Assert.All(scores, row => Assert.Equal(0.5, row.GetProperty("eval_exact_match").GetDouble()));
        Assert.Contains("exact_match", File.ReadAllText(Path.Combine(_folder.Path, "run", "report.html")), StringComparison.Ordinal);
        Assert.Equal(3, run.Error.Split('\n').Count(line => line.StartsWith("eval at step", StringComparison.Ordinal)
            && line.Contains(" exact_match 0.5000 f1 ", StringComparison.Ordinal)));
    }

    [Fact]
    public void Programs_reward_answers_of_adapter_and_base_as_they_do_while_training()
    {
        var data = _folder.File("prompts.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"What colour is a banana?\"}],\"wanted\":\"yellow\"}\n"
            + "{\"messages\":[{\"role\":\"user\",\"content\":\"Who are you?\"},{\"role\":\"assistant\",\"content\":\"left out\"}],\"wanted\":\"xyz\"}\n");
        // What it reads is kept; the first program looks for the row's own word, the second says nothing of the second row.
        _folder.File("score.sh", """
            while read -r line; do
              printf '%s\n' "$line" >> asked.jsonl
              word=$(printf '%s' "$line" | sed 's/.*"wanted":"\([a-z]*\)".*/\1/')
              said=$(printf '%s' "$line" | sed 's/,"prompt".*//')
              case $said in *$word*) echo 2 ;; *) echo 0 ;; esac
            done
            """);
        _folder.File("first.sh", "n=3; while read -r line; do echo $n; n=null; done");
        ProgramResult Eval(params string[] words) => TrainerProgram.Run(new ProgramRun(["eval", "tiny", "--data", data, "--generate", .. words])
        { Directory = _folder.Path });
        var answer = Eval("--reward-command", "sh score.sh", "--reward-command", "sh first.sh", "--max-tokens", "24",
            "--per-row", "--json");
        Assert.True(answer.ExitCode == 0, answer.Error);
        var json = answer.Json();
        Assert.Equal((1.0, 3.0), (json.GetProperty("metrics").GetProperty("score").GetDouble(), json.GetProperty("metrics").GetProperty("first").GetDouble()));
        var asked = File.ReadLines(Path.Combine(_folder.Path, "asked.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(json.GetProperty("rows").EnumerateArray().Select(row => row.GetProperty("text").GetString()),
            asked.Select(line => line.GetProperty("completion").GetString()));
        Assert.All(asked, line => Assert.DoesNotContain("left out", line.GetProperty("prompt").GetString(), StringComparison.Ordinal));
        Assert.Contains("banana", asked[0].GetProperty("prompt").GetString(), StringComparison.Ordinal);

        Assert.Contains("keep one", Assert.Single(Eval("--reward-command", "cat", "--metric", "f1").Faults(2)), StringComparison.Ordinal);
        Assert.Contains("says null", Assert.Single(Eval("--reward-command", "while read l; do echo null; done", "--max-tokens", "2").Faults(65)),
            StringComparison.Ordinal);
        Assert.Contains("ended with exit code 3", Assert.Single(Eval("--reward-command", "exit 3", "--max-tokens", "2").Faults(69)), StringComparison.Ordinal);
        Assert.Contains("--generate", Assert.Single(TrainerProgram.Run(new ProgramRun("eval", "tiny", "--data", data, "--reward-command", "cat")
        { Directory = _folder.Path }).Faults(2)), StringComparison.Ordinal);
    }
}
