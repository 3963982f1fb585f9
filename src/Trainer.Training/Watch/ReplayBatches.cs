using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Data;
using Trainer.Training.State;

namespace Trainer.Training.Watch;

/// <summary>The micro-batches of one step as JSON, so that a replay needs no data set.</summary>
internal static class ReplayBatches
{
    public const string FileName = "step.json";

    public static void Write(string directory, IReadOnlyList<MicroBatch> step) => File.WriteAllText(Path.Combine(directory, FileName), ToText(step));

    /// <summary>Micro-batches as text.</summary>
    public static string ToText(IReadOnlyList<MicroBatch> step) => JsonSerializer.Serialize(step.Select(Rows.Of), RunJson.Line);

    /// <summary>Micro-batches out of text.</summary>
    /// <exception cref="JsonException">They are none.</exception>
    public static List<MicroBatch> OfText(string text)
    {
        using var document = JsonDocument.Parse(text, RunJson.Document);
        return Of(document.RootElement);
    }

    public static List<MicroBatch> Read(string directory)
    {
        var path = Path.Combine(directory, FileName);
        try
        {
            using var document = JsonDocument.Parse(SmallFile.Bytes(path), RunJson.Document);
            return Of(document.RootElement);
        }
        catch (Exception fault) when (RunJson.IsBadFile(fault))
        {
            throw new BadFileException($"replay bundle '{directory}': its {FileName} cannot be read ({RunJson.Why(fault)}); name a replay-step-N folder of a "
                + "run", fault);
        }
    }

    private static List<MicroBatch> Of(JsonElement json)
    {
        RunJson.RequireNoEmptyItems(json);
        var rows = json.Deserialize<List<Rows>>(RunJson.Line) ?? throw new JsonException("it is empty");
        if (rows.Count == 0) throw new JsonException("it holds no micro-batch");
        return [.. rows.Select(row => row.ToBatch())];
    }

    private sealed record Rows(int[] TokenIds, int[] Targets, int[] Positions, int[] SegmentStarts, float[] SegmentWeights, string[] Files, long[] Lines,
        SegmentRole[]? Roles = null, int[]? AnswerStarts = null, float[]? ReferenceLosses = null,
        Rollout? Rollout = null)
    {
        public static Rows Of(MicroBatch batch) => new(
            batch.TokenIds, batch.Targets, batch.Positions, batch.SegmentStarts, batch.SegmentWeights,
            [.. batch.Rows.Select(row => row.File)], [.. batch.Rows.Select(row => row.Line)], batch.Roles, batch.AnswerStarts,
            batch.ReferenceLosses, batch.Rollout);

        public MicroBatch ToBatch()
        {
            if (Files.Length != Lines.Length) throw new JsonException("files and lines differ in number");
            for (var i = 1; i < SegmentStarts.Length; i++)
                if (SegmentStarts[i] <= SegmentStarts[i - 1]) throw new JsonException("a row in it has no tokens");
            if (Array.Exists(Positions, position => position < 0)) throw new JsonException("a position in it is negative");
            if (ReferenceLosses is { } losses && losses.Length != TokenIds.Length) throw new JsonException("the reference's losses are not one for each token");
            if (Rollout is { } known && (known.Advantages.Length != SegmentWeights.Length
                || known.SampledLosses is { } before && before.Length != TokenIds.Length))
                throw new JsonException("its answers and what is known of them differ in number");
            return Batch();
        }

        private MicroBatch Batch() => new(TokenIds, Targets, Positions, SegmentStarts, SegmentWeights,
            [.. Files.Zip(Lines, (file, line) => new RowSource(file, line))], Roles, AnswerStarts) { ReferenceLosses = ReferenceLosses, Rollout = Rollout };
    }
}
