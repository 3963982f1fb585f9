using Trainer.Engine;
using Trainer.Models.Lora;

namespace Trainer.Training.Optimizers;

/// <summary>
/// Runs of the flat buffer that share a learning rate: one in all, or with LoRA+ (arXiv 2402.12354) B apart from the rest, and adapters of the
/// embedding at a rate of their own, which is PEFT's.
/// </summary>
internal static class ParameterGroups
{
    private const double LoraPlusEmbeddingRate = 1e-6;

    public static List<ParameterGroup> Of(IReadOnlyList<ParameterEntry> tensors, double? loraPlusRatio, double learningRate,
        IReadOnlyDictionary<string, double>? patterns = null)
    {
        var groups = new List<ParameterGroup>();
        foreach (var tensor in tensors)
        {
            var factor = loraPlusRatio is not { } ratio
                ? 1.0 : IsOfEmbedding(tensor.Name) ? LoraPlusEmbeddingRate / learningRate : IsB(tensor.Name) ? ratio : 1.0;
            if (patterns is { Count: > 0 }) factor *= PathPattern.ValueAt([.. patterns], ModuleOf(tensor.Name), learningRate) / learningRate;
            var end = tensor.Offset + tensor.Count;
            // The gaps between tensors hold zeros and zero gradients: stepping over them changes nothing and keeps one long run.
            if (groups.Count > 0 && groups[^1].RateFactor == factor) groups[^1] = groups[^1] with { Count = end - groups[^1].Begin };
            else groups.Add(new ParameterGroup(tensor.Offset, tensor.Count, factor));
        }
        return groups;
    }

    /// <summary>Whether a fresh tensor is 0: B, and of an embedding's adapter A.</summary>
    public static bool StartsAtZero(string name) => IsB(name) || name.Contains("lora_embedding_A", StringComparison.Ordinal);

    // base_model.model.PATH.lora_A.weight, or without an adapter base_model.model.PATH.weight.
    private static string ModuleOf(string name)
    {
        var path = name.StartsWith("base_model.model.", StringComparison.Ordinal) ? name["base_model.model.".Length..] : name;
        var end = path.IndexOf(".lora_", StringComparison.Ordinal);
        return end >= 0 ? path[..end] : path[..Math.Max(path.LastIndexOf('.'), 0)];
    }

    private static bool IsB(string name) => name.Contains("lora_B", StringComparison.Ordinal);

    private static bool IsOfEmbedding(string name) => name.Contains("lora_embedding_", StringComparison.Ordinal);
}

/// <summary>Elements of the flat buffer with one learning rate.</summary>
/// <param name="Begin">First element.</param>
/// <param name="Count">Elements.</param>
/// <param name="RateFactor">Multiplier of the learning rate.</param>
internal readonly record struct ParameterGroup(long Begin, long Count, double RateFactor);
