using System.Text.Json;

namespace Trainer.Smoke.Tests.Runs;

/// <summary>What plan counts.</summary>
[Trait("ring", "smoke")]
public sealed class PlanTests
{
    private static string Rows(int rows, int tokens) =>
        string.Concat(Enumerable.Range(0, rows).Select(i => $"{{\"input_ids\":[{string.Join(',', Enumerable.Range(0, tokens).Select(t => 3 + (i * 7 + t) % 200))}]}}\n"));

    [Fact]
    public void Held_out_rows_longer_than_any_trained_on_are_in_the_memory()
    {
        using var folder = new TemporaryFolder();
        var (data, held) = (folder.File("d.jsonl", Rows(8, 16)), folder.File("e.jsonl", Rows(2, 200)));
        var model = Path.Combine(TrainerProgram.Repository, "tests", "fixtures", "models", "llama31");
        JsonElement Plan(params string[] more) => TrainerProgram.Run(["plan", "--model", model, "--data", data, "--batch-size", "2", "--no-measure", "--json", .. more]).Json();
        var (without, with) = (Plan(), Plan("--eval-data", held));
        var part = Assert.Single(with.GetProperty("memory").EnumerateArray(), part => part.GetProperty("name").GetString() == "longer rows held out");
        // Held-out rows have an order too.
        static long Order(JsonElement plan) => plan.GetProperty("memory").EnumerateArray().Single(part => part.GetProperty("name").GetString() == "order of the rows").GetProperty("bytes").GetInt64();
        Assert.Equal(without.GetProperty("peak_bytes").GetInt64() + part.GetProperty("bytes").GetInt64() + Order(with) - Order(without), with.GetProperty("peak_bytes").GetInt64());
        Assert.DoesNotContain(Plan("--eval-data", data).GetProperty("memory").EnumerateArray(), part => part.GetProperty("name").GetString() == "longer rows held out");
    }
}
