using System.Text;
using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>Runs on rewards through the built program: what is measured stands where a user looks, programs that fail are named and leave
/// nothing.</summary>
[Trait("ring", "smoke")]
public sealed class GrpoTests : IDisposable
{
    // The answer as JSON writes it, and how many a it has.
    private const string Score = """
        while read -r line; do
            rest=${line#*'"completion":"'}; rest=${rest%%'","prompt":'*}; count=0
            while [ "${rest#*a}" != "$rest" ]; do rest=${rest#*a}; count=$((count + 1)); done
            echo $count
        done
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_measured_stands_in_rows_curves_report_and_state()
    {
        var (run, reward) = (Path.Combine(_folder.Path, "run"), "sh " + _folder.File("letters.sh", Score));
        var words = Words(run, "--reward-command", reward, "--eval-data", Prompts("held", 2), "--eval-steps", "2", "--save-steps", "2");
        var result = TrainerProgram.RunWarm(words);
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("answers: 4 prompts to answer", result.Error, StringComparison.Ordinal);
        Assert.Contains("groups without spread", result.Error, StringComparison.Ordinal);
        var rows = File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        var (steps, evals) = (rows.Where(row => row.TryGetProperty("loss", out _)).ToList(),
            rows.Where(row => row.TryGetProperty("eval_loss", out _)).ToList());
        Assert.Equal((4, 3), (steps.Count, evals.Count));
        string[] names = ["reward", "reward_std", "frac_reward_zero_std", "rewards/letters/mean", "rewards/letters/std", "completions/mean_length",
            "completions/clipped_ratio", "clip_ratio/region_mean"];
        Assert.All(names, name => Assert.All(steps, row => Assert.True(row.TryGetProperty(name, out _), name)));
        Assert.All(names, name => Assert.All(evals, row => Assert.True(row.TryGetProperty("eval_" + name, out _), name)));
        var rolled = rows.First(row => row.TryGetProperty("rollout", out _)).GetProperty("rollout");
        Assert.Equal(steps[0].GetProperty("reward").GetDouble(),
            rolled.EnumerateArray().SelectMany(prompt => prompt.GetProperty("rewards").EnumerateArray()).Average(each => each[0].GetDouble()), 1e-9);
        var curves = string.Concat(Directory.GetFiles(Path.Combine(run, "runs")).Select(file => Encoding.Latin1.GetString(File.ReadAllBytes(file))));
        Assert.All(names, name => Assert.True(curves.Contains("train/" + name, StringComparison.Ordinal)
            && curves.Contains("eval/" + name, StringComparison.Ordinal), name));
        Assert.Contains("\"name\":\"reward\"", File.ReadAllText(Path.Combine(run, "report.html")), StringComparison.Ordinal);
        // No file starts a program: who goes on with the run, or makes it again, names it.
        Assert.DoesNotContain("letters", File.ReadAllText(Path.Combine(run, "recipe.yaml")), StringComparison.Ordinal);
        Assert.Contains("--reward-command", Assert.Single(TrainerProgram.RunWarm("resume", run, "--max-steps", "5").Faults(2)), StringComparison.Ordinal);
        var again = TrainerProgram.RunWarm("reproduce", Path.Combine(run, "run.json"), "--reward-command", reward);
        Assert.True(again.ExitCode == 0, again.Error + again.Output);
        var more = TrainerProgram.RunWarm("resume", run, "--max-steps", "5", "--reward-command", reward);
        Assert.True(more.ExitCode == 0, more.Error);
    }

    [Theory]
    [InlineData("read -r x; echo 1; exit 3", 69, "ended with exit code 3 after 1 of 4 answers")]
    [InlineData("cat > /dev/null", 69, "gave no answer for 1.0s (0 of 4 answered")]
    [InlineData("while read -r x; do echo NaN; done", 65, "answered 'NaN', which is no finite number (answer 1 of 4, ")]
    [InlineData("while read -r x; do echo fine; done", 65, "answered 'fine' where a number is meant")]
    public void A_program_that_fails_ends_the_run_in_one_line(string command, int exitCode, string what)
    {
        var run = Path.Combine(_folder.Path, "run");
        var fault = Assert.Single(TrainerProgram.RunWarm(Words(run, "--reward-command", command, "--reward-timeout", "1s")).Faults(exitCode));
        Assert.Contains(what, fault, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(run, "run.json")) || File.Exists(Path.Combine(run, "metrics.jsonl")));
    }

    [Fact]
    public void Prompts_are_shown_checked_and_planned_without_a_program_being_started()
    {
        var data = Prompts("rows", 4);
        var shown = TrainerProgram.RunWarm("data", "show", "--model", "tiny", "--data", data, "--objective", "grpo", "--rows", "1").Output;
        Assert.Contains("-- prompt: ", shown, StringComparison.Ordinal);
        Assert.Contains("Say something about 0.", shown, StringComparison.Ordinal);
        var check = TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", data, "--objective", "grpo");
        Assert.True(check.ExitCode == 0, check.Output + check.Error);
        Assert.Contains("4 prompts to answer", check.Output, StringComparison.Ordinal);
        var bad = TrainerProgram.RunWarm("data", "check", "--model", "tiny", "--data", _folder.File("bad.jsonl", "{\"question\":\"a\"}\n"), "--objective",
            "grpo");
        Assert.Contains("bad.jsonl:1", bad.Output + bad.Error, StringComparison.Ordinal);
        Assert.NotEqual(0, bad.ExitCode);
        var (run, trace) = (Path.Combine(_folder.Path, "run"), Path.Combine(_folder.Path, "started"));
        var dry = TrainerProgram.RunWarm(Words(run, "--reward-command", $"touch {trace}", "--dry-run"));
        Assert.True(dry.ExitCode == 0, dry.Error);
        Assert.Contains("num_generations: 2", dry.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(trace));
        var plan = TrainerProgram.RunWarm("plan", "--model", "tiny", "--data", data, "--objective", "grpo", "--batch-size", "8", "--max-steps", "2");
        Assert.True(plan.ExitCode == 0, plan.Error);
        Assert.Contains("answers being written", plan.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--temperature 2", "--temperature is not read by --objective sft, but by grpo")]
    [InlineData("--objective grpo --batch-size 3 --reward-command x", "no multiple of --num-generations 8")]
    [InlineData("--objective grpo --batch-size 8", "needs --reward-command")]
    [InlineData("--objective grpo --batch-size 8 --reward-command x --label-smoothing 0.1", "--label-smoothing is not read by --objective grpo")]
    [InlineData("--objective grpo --batch-size 8 --reward-command x --simpo-gamma 1", "--simpo-gamma is not read by --objective grpo")]
    [InlineData("--objective grpo --batch-size 8 --reward-command x --num-generations 1", "--num-generations 1 is out of range")]
    public void What_has_no_use_is_refused_before_anything_is_read(string words, string why) =>
        Assert.Contains(TrainerProgram.RunWarm(["train", "--model", "tiny", "--data", "demo", "--output-dir", Path.Combine(_folder.Path, "run"),
            .. words.Split(' ')]).Faults(2), fault => fault.Contains(why, StringComparison.Ordinal));

    [Fact]
    [Trait("ring", "slow")]
    public void A_rewarded_letter_comes_more_often()
    {
        var run = Path.Combine(_folder.Path, "run");
        var result = TrainerProgram.RunWarm("train", "--model", "tiny", "--data", Prompts("rows", 8), "--objective", "grpo", "--reward-command",
            "sh " + _folder.File("letters.sh", Score), "--output-dir", run, "--max-steps", "16", "--batch-size", "16",
            "--num-generations", "8", "--max-completion-length", "12", "--learning-rate", "5e-3", "--lr-scheduler", "constant", "--warmup-steps", "0",
            "--quantize", "none", "--dtype", "float32", "--report-to", "none", "--logging-steps", "1", "--threads", "2", "--max-seq-length", "64");
        Assert.True(result.ExitCode == 0, result.Error);
        var rewards = File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(row => row.TryGetProperty("loss", out _)).Select(row => row.GetProperty("reward").GetDouble()).ToList();
        var (first, last) = (rewards.Take(5).Average(), rewards.TakeLast(5).Average());
        Assert.True(last > 1.4 * first, string.Join(' ', rewards));
    }

    private string[] Words(string run, params string[] more) =>
    [
        "train", "--model", "tiny", "--data", Prompts("rows", 4), "--objective", "grpo", "--output-dir", run, "--max-steps", "4", "--batch-size", "4",
        "--num-generations", "2", "--max-completion-length", "8", "--learning-rate", "1e-3", "--threads", "1", "--max-seq-length", "64", "--quantize", "none",
        "--dtype", "float32", "--logging-steps", "1", .. more,
    ];

    private string Prompts(string name, int count) => _folder.File(name + ".jsonl", string.Concat(Enumerable.Range(0, count).Select(i =>
        JsonSerializer.Serialize(new { prompt = new[] { new { role = "user", content = $"Say something about {i}." } }, answer = i }) + "\n")));
}
