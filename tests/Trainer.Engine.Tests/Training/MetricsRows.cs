using System.Text.Json.Nodes;

namespace Trainer.Engine.Tests.Training;

/// <summary>Rows of metrics.jsonl as two equal runs must share them.</summary>
internal static class MetricsRows
{
    private static readonly string[] OfTheClock = ["tokens_per_second", "memory_bytes", "elapsed_seconds", "eval_seconds"];

    public static string Deterministic(string line)
    {
        var row = (JsonObject)JsonNode.Parse(line)!;
        foreach (var name in OfTheClock) row.Remove(name);
        return row.ToJsonString();
    }
}
