using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Experts;

/// <summary>The experts of each token.</summary>
/// <param name="Indices">[T, chosen], int64.</param>
/// <param name="Weights">[T, chosen].</param>
internal sealed record ExpertChoice(Tensor Indices, Tensor Weights)
{
    /// <summary>Each expert that has tokens, with their rows and the places of their weights in the flattened choice.</summary>
    public IEnumerable<(int Expert, long[] Tokens, long[] Slots)> ByExpert(int experts)
    {
        using var onProcessor = Indices.cpu().contiguous();
        var chosen = onProcessor.data<long>().ToArray();
        var each = onProcessor.shape[1];
        var slots = new List<long>[experts];
        for (long slot = 0; slot < chosen.Length; slot++) (slots[chosen[slot]] ??= []).Add(slot);
        for (var expert = 0; expert < experts; expert++)
            if (slots[expert] is { } own) yield return (expert, [.. own.Select(slot => slot / each)], [.. own]);
    }
}
