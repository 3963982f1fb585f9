using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Lora;

namespace Trainer.Adapters;

/// <summary>
/// rank_pattern and alpha_pattern whose expressions fit the same module: the first in the file counts, but PEFT sorts the keys when it saves. Ranks
/// are then read off the tensors; an alpha left open is refused. Our own files are written so that no order matters.
/// </summary>
internal static class OverlappingPatterns
{
    private const string Prefix = "base_model.model.", A = ".lora_A.weight", EmbeddingA = ".lora_embedding_A";

    /// <summary>The shape with ranks as the tensors have them where the patterns leave them open.</summary>
    /// <param name="spec">As adapter_config.json says.</param>
    /// <param name="file">The adapter's weights.</param>
    /// <exception cref="AdapterException">An alpha that cannot be told.</exception>
    public static LoraSpec Settle(LoraSpec spec, SafetensorsFile file)
    {
        var ranks = new List<KeyValuePair<string, int>>();
        foreach (var entry in file.Entries)
        {
            var suffix = entry.Name.EndsWith(A, StringComparison.Ordinal) ? A : entry.Name.EndsWith(EmbeddingA, StringComparison.Ordinal) ? EmbeddingA : null;
            if (suffix is null || !entry.Name.StartsWith(Prefix, StringComparison.Ordinal) || entry.Shape.Length != 2) continue;
            var path = entry.Name[Prefix.Length..^suffix.Length];
            if (IsOpen(spec.AlphaPattern, path))
                throw new AdapterException($"'alpha_pattern' of the adapter '{Path.GetDirectoryName(file.Path)}' gives '{path}' several alphas "
                    + $"({string.Join(", ", Fitting(spec.AlphaPattern, path).Select(pair => $"{pair.Key}={pair.Value}"))}), and which one counts was lost "
                    + "when its keys were sorted; leave the right one in adapter_config.json");
            if (IsOpen(spec.RankPattern, path) && Fitting(spec.RankPattern, path).Any(pair => pair.Value == entry.Shape[0]))
                ranks.Add(KeyValuePair.Create(PathPattern.Exact(path), (int)entry.Shape[0]));
        }
        return ranks.Count == 0 ? spec : spec with { RankPattern = [.. ranks, .. spec.RankPattern] };
    }

    /// <summary>The same patterns in a form that does not depend on their order: where two fit one module, a key for each module.</summary>
    /// <param name="patterns">The patterns, the first that fits counting.</param>
    /// <param name="paths">The adapted modules.</param>
    public static IReadOnlyList<KeyValuePair<string, T>> Ordered<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, IReadOnlyList<string> paths)
    {
        if (!paths.Any(path => Fitting(patterns, path).DistinctBy(pair => pair.Value).Skip(1).Any())) return patterns;
        return [.. paths.Where(path => Fitting(patterns, path).Any())
            .Select(path => KeyValuePair.Create(PathPattern.Exact(path), Fitting(patterns, path).First().Value))];
    }

    private static IEnumerable<KeyValuePair<string, T>> Fitting<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string path) =>
        patterns.Where(pair => PathPattern.Matches(PathPattern.OfEnd(pair.Key, "a pattern of rank or alpha"), path));

    // Keys that are not in sorted order kept the order they were given in.
    private static bool IsOpen<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string path) =>
        patterns.Count > 1 && patterns.Zip(patterns.Skip(1)).All(pair => string.CompareOrdinal(pair.First.Key, pair.Second.Key) < 0)
        && Fitting(patterns, path).DistinctBy(pair => pair.Value).Skip(1).Any();
}
