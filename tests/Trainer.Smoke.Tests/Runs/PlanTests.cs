using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>What plan counts.</summary>
[Trait("ring", "smoke")]
public sealed class PlanTests
{
    private static string Rows(int rows, int tokens) =>
        string.Concat(Enumerable.Range(0, rows).Select(
        i => $"{{\"input_ids\":[{string.Join(',', Enumerable.Range(0, tokens).Select(t => 3 + (i * 7 + t) % 200))}]}}\n"));

    [Fact]
    public void Weights_that_are_not_here_and_a_folder_that_is_not_made_count_on_the_disk()
    {
        using var folder = new TemporaryFolder();
        var model = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        folder.File("m/config.json", File.ReadAllText(Path.Combine(model, "config.json")));
        JsonElement Plan(string name, string stream)
            => TrainerProgram.RunWarm("plan", "--model", name, "--quantize", "nf4", "--stream", stream, "--max-steps", "5", "--max-seq-length", "32",
                "--no-measure", "--json").Json();
        static Dictionary<string, long> Disk(JsonElement plan)
            => plan.GetProperty("disk").EnumerateArray().ToDictionary(part => part.GetProperty("name").GetString()!,
                part => part.GetProperty("bytes").GetInt64());
        Assert.Equal(["checkpoints and adapter"], Disk(Plan(model, "off")).Keys);
        Assert.Equal(["checkpoints and adapter", "4-bit folder to stream from"], Disk(Plan(model, "on")).Keys);
        var absent = Plan(Path.Combine(folder.Path, "m"), "off");
        Assert.Equal(2 * absent.GetProperty("base_parameters").GetInt64(), Disk(absent)["weights to download"]);
        Assert.Equal(Disk(absent).Values.Sum(), absent.GetProperty("disk_bytes").GetInt64());
    }

    [Fact]
    [Trait("ring", "slow")]
    public void What_plan_tokenized_is_tokenized_again_by_no_other_command()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("d.jsonl", string.Concat(Enumerable.Range(0, 8).Select(i => $"{{\"text\":\"the cat sat on mat {i}\"}}\n")));
        var cache = Path.Combine(folder.Path, "cache");
        ProgramResult Run(params string[] words) =>
            TrainerProgram.RunWarm(new ProgramRun([.. words, "--model", "tiny", "--data", data]) { Directory = folder.Path,
            Environment = new Dictionary<string, string> { ["TRAINER_CACHE"] = cache } });
        Assert.DoesNotContain("from the cache", Run("plan", "--no-measure").Output, StringComparison.Ordinal);
        var made = Directory.GetFiles(cache, "*.tokens", SearchOption.AllDirectories);
        Assert.Contains(", from the cache", Run("plan", "--no-measure").Output, StringComparison.Ordinal);
        Assert.Contains(", from the cache", Run("train", "--max-steps", "1", "--output-dir", "r").Error, StringComparison.Ordinal);
        Assert.Equal(made, Directory.GetFiles(cache, "*.tokens", SearchOption.AllDirectories));

        // What a command finds is marked as used.
        Run("eval");
        var files = Directory.GetFiles(cache, "*.tokens", SearchOption.AllDirectories);
        var longAgo = DateTime.UtcNow.AddDays(-2);
        foreach (var file in files) File.SetLastWriteTimeUtc(file, longAgo);
        Run("eval");
        Assert.Equal(files, Directory.GetFiles(cache, "*.tokens", SearchOption.AllDirectories));
        Assert.Single(files, file => File.GetLastWriteTimeUtc(file) > longAgo.AddDays(1));
    }

    [Fact]
    public void The_time_of_a_small_run_is_that_of_its_parts_and_nothing_stays_behind()
    {
        using var folder = new TemporaryFolder();
        var data = folder.File("d.jsonl", Rows(12, 10));
        var plan = TrainerProgram.Run(new ProgramRun("plan", "--model", "tiny", "--data", data, "--eval-split", "0.2", "--max-steps", "12", "--save-steps", "4",
            "--allow-high-loss", "--threads", "1", "--json") { Directory = folder.Path }).Json();
        var parts = plan.GetProperty("time").EnumerateArray().ToDictionary(part => part.GetProperty("name").GetString()!,
            part => part.GetProperty("seconds").GetDouble());
        Assert.Equal(["start", "steps", "evaluations", "checkpoints", "adapter, proof and report"], parts.Keys);
        Assert.All(parts.Values, seconds => Assert.True(seconds > 0));
        Assert.Equal(plan.GetProperty("seconds").GetDouble(), parts.Values.Sum(), 1e-6);
        Assert.Equal([data], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void Held_out_rows_longer_than_any_trained_on_are_in_the_memory()
    {
        using var folder = new TemporaryFolder();
        var (data, held) = (folder.File("d.jsonl", Rows(8, 16)), folder.File("e.jsonl", Rows(2, 200)));
        var model = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        JsonElement Plan(params string[] more)
            => TrainerProgram.RunWarm(["plan", "--model", model, "--data", data, "--batch-size", "2", "--no-measure", "--json", .. more]).Json();
        var (without, with) = (Plan(), Plan("--eval-data", held));
        var part = Assert.Single(with.GetProperty("memory").EnumerateArray(), part => part.GetProperty("name").GetString() == "longer rows held out");
        // Held-out rows have an order too.
        static long Order(JsonElement plan)
            => plan.GetProperty("memory").EnumerateArray().Single(part => part.GetProperty("name").GetString() == "order of the rows").GetProperty("bytes")
                .GetInt64();
        Assert.Equal(without.GetProperty("peak_bytes").GetInt64() + part.GetProperty("bytes").GetInt64() + Order(with) - Order(without),
            with.GetProperty("peak_bytes").GetInt64());
        Assert.DoesNotContain(Plan("--eval-data", folder.File("short.jsonl", Rows(2, 16))).GetProperty("memory").EnumerateArray(),
            part => part.GetProperty("name").GetString() == "longer rows held out");
    }

    [Fact]
    public void Answers_written_on_the_way_of_a_run_are_in_the_memory()
    {
        using var folder = new TemporaryFolder();
        var (data, held) = (folder.File("d.jsonl", Rows(8, 16)), folder.File("e.jsonl", Rows(2, 40)));
        var model = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        long Answers(params string[] more)
            => TrainerProgram.RunWarm(["plan", "--model", model, "--data", data, "--eval-data", held, "--no-measure", "--json", .. more]).Json()
            .GetProperty("memory").EnumerateArray().Where(part => part.GetProperty("name").GetString() == "answers being written")
            .Sum(part => part.GetProperty("bytes").GetInt64());
        Assert.Equal(0, Answers());
        var one = Answers("--sample-prompts", folder.File("one.txt", "Who are you?\n"));
        Assert.InRange(Answers("--sample-prompts", folder.File("many.txt", string.Concat(Enumerable.Repeat("Who are you?\n", 30)))), one + 1, 10 * one);
        Assert.InRange(one, 1, long.MaxValue);
        Assert.InRange(Answers("--eval-metrics", "f1", "--answer-tokens", "40"), 1, Answers("--eval-metrics", "f1", "--answer-tokens", "80") - 1);
    }

    [Fact]
    public void Ranks_are_planned_from_gradients_link_and_how_the_rows_are_dealt_out()
    {
        using var folder = new TemporaryFolder();
        // Four micro-batches a step for two ranks: the first always has the long rows, 30 and 30 tokens beside 10 and 10.
        var data = folder.File("d.jsonl", string.Concat(Enumerable.Range(0, 8).Select(i => Rows(1, i % 2 == 0 ? 30 : 10))));
        string[] words = ["plan", "--model", "tiny", "--data", data, "--batch-size", "1", "--gradient-accumulation-steps", "4", "--no-shuffle", "--no-measure"];
        string[] two = [.. words, "--ranks", "2", "--link", "1Gbit"];
        var ranks = TrainerProgram.RunWarm([.. two, "--json"]).Json().GetProperty("ranks");
        Assert.Equal(1.5, ranks.GetProperty("uneven_rows").GetDouble());
        var bytes = ranks.GetProperty("gradient_bytes").GetInt64();
        Assert.Equal(2 * (50e-6 + bytes / 2.0 / 125e6), ranks.GetProperty("ring_seconds").GetDouble(), 9);
        Assert.Contains("not measured; 90% of the time is work where a rank's part takes", TrainerProgram.RunWarm(two).Output, StringComparison.Ordinal);

        var shared = TrainerProgram.RunWarm([.. two, "--ranks-per-node", "2", "--json"]).Json();
        Assert.Equal(2, shared.GetProperty("share").GetProperty("ranks").GetInt32());
        // Quantized while it loads, so that only embedding and head are there once.
        Assert.Equal(2 * shared.GetProperty("peak_bytes").GetInt64() - shared.GetProperty("shared_bytes").GetInt64(),
            shared.GetProperty("machine_peak_bytes").GetInt64());
        Assert.Contains("of the base once, the rest for each", TrainerProgram.RunWarm([.. two, "--ranks-per-node", "2"]).Output, StringComparison.Ordinal);
        Assert.Contains("is more than there are ranks; --ranks is 2", Assert.Single(TrainerProgram.RunWarm([.. two, "--ranks-per-node", "3"]).Faults(2)),
            StringComparison.Ordinal);
        Assert.Contains("pass --ranks too", Assert.Single(TrainerProgram.RunWarm(["plan", "--model", "tiny", "--ranks-per-node", "2"]).Faults(2)),
            StringComparison.Ordinal);
        Assert.Contains("cannot be dealt out to 3 ranks evenly", TrainerProgram.RunWarm([.. words, "--ranks", "3"]).Error, StringComparison.Ordinal);
        Assert.Contains("is no rate of a network", Assert.Single(TrainerProgram.RunWarm([.. words, "--ranks", "2", "--link", "10"]).Faults(2)),
            StringComparison.Ordinal);
        Assert.Contains("pass --ranks too", Assert.Single(TrainerProgram.RunWarm(["plan", "--model", "tiny", "--link", "1Gbit"]).Faults(2)),
            StringComparison.Ordinal);
    }
}
