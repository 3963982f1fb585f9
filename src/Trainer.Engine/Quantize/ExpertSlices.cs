using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Quantize;

/// <summary>The tensors of all experts, cut into those that a folder with a tensor for each expert has. Matrices that lie transposed, or whose gates and ups
/// alternate, are not cut.</summary>
internal static class ExpertSlices
{
    /// <summary>The parts of a stored tensor, gate before up, expert by expert; empty for a tensor that is none of all experts, or is not cut.</summary>
    /// <param name="config">The model.</param>
    /// <param name="entry">The tensor.</param>
    public static IReadOnlyList<SafetensorsEntry> Of(ModelConfig config, SafetensorsEntry entry)
    {
        if (entry.Shape.Length != 3 || config.ModuleTensor(entry.Name) is not { } name) return [];
        foreach (var block in config.Layers.Select(layer => layer.FeedForward is DenseBesideExperts both ? both.Experts : layer.FeedForward)
            .OfType<ExpertFeedForward>().Distinct())
        {
            if (block.IsTransposed || block.IsClamped) continue;
            var (names, experts, bytes) = (block.Names, entry.Shape[0], entry.ByteCount / entry.Shape[0]);
            if (name.EndsWith("." + names.AllDown, StringComparison.Ordinal))
            {
                var path = entry.Name[..^names.AllDown.Length];
                return [.. Range(experts).Select(e => new SafetensorsEntry($"{path}{e}.{names.Down}.weight", entry.Dtype, entry.Shape[1..],
                    entry.Begin + e * bytes, entry.Begin + (e + 1) * bytes))];
            }
            if (!name.EndsWith("." + names.AllGateUp, StringComparison.Ordinal) || entry.Shape[1] % 2 != 0) continue;
            var (prefix, half, shape) = (entry.Name[..^names.AllGateUp.Length], bytes / 2, new[] { entry.Shape[1] / 2, entry.Shape[2] });
            return [.. Range(2 * experts).Select(i => new SafetensorsEntry($"{prefix}{i / 2}.{(i % 2 == 0 ? names.Gate : names.Up)}.weight", entry.Dtype, shape,
                entry.Begin + i * half, entry.Begin + (i + 1) * half))];
        }
        return [];
    }

    private static IEnumerable<long> Range(long count)
    {
        for (long i = 0; i < count; i++) yield return i;
    }
}
