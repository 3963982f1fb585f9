using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Data;

namespace Trainer.Training;

/// <summary>The micro-batches of one step as JSON, so that a replay needs no data set.</summary>
internal static class ReplayBatches
{
    public const string FileName = "step.json";

    public static void Write(string directory, IReadOnlyList<MicroBatch> step) =>
        File.WriteAllText(Path.Combine(directory, FileName), JsonSerializer.Serialize(step.Select(Rows.Of), RunJson.Line));

    public static List<MicroBatch> Read(string directory)
    {
        var path = Path.Combine(directory, FileName);
        try
        {
            var rows = JsonSerializer.Deserialize<List<Rows>>(File.ReadAllText(path), RunJson.Line) ?? throw new JsonException("it is empty");
            return [.. rows.Select(row => row.ToBatch())];
        }
        catch (Exception fault) when (fault is JsonException or IOException or ArgumentException)
        {
            throw new BadFileException($"replay bundle '{directory}': its {FileName} cannot be read ({fault.Message.TrimEnd('.')}); name a replay-step-N folder of a run", fault);
        }
    }

    private sealed record Rows(int[] TokenIds, int[] Targets, int[] Positions, int[] SegmentStarts, float[] SegmentWeights, string[] Files, long[] Lines)
    {
        public static Rows Of(MicroBatch batch) => new(
            batch.TokenIds, batch.Targets, batch.Positions, batch.SegmentStarts, batch.SegmentWeights,
            [.. batch.Rows.Select(row => row.File)], [.. batch.Rows.Select(row => row.Line)]);

        public MicroBatch ToBatch() => new(TokenIds, Targets, Positions, SegmentStarts, SegmentWeights, [.. Files.Zip(Lines, (file, line) => new RowSource(file, line))]);
    }
}
