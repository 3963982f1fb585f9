using Trainer.Models.Drawing;

namespace Trainer.Engine;

/// <summary>
/// A low-rank update of the token embedding: the row of token v is E[v] + scale * B A[:, v], with A [rank, vocabulary] and B [hidden, rank];
/// with a magnitude m [hidden] (DoRA) every column j of that is multiplied by m[j] over its norm, the norms taken as constants.
/// </summary>
public sealed class EmbeddingAdapter
{
    /// <summary>Rank r.</summary>
    public required int Rank { get; init; }

    /// <summary>alpha / r, or alpha / sqrt(r) with rsLoRA.</summary>
    public required double Scale { get; init; }

    /// <summary>A, [rank, vocabulary].</summary>
    public required ParameterEntry A { get; init; }

    /// <summary>B, [hidden, rank].</summary>
    public required ParameterEntry B { get; init; }

    /// <summary>DoRA magnitude [hidden], or null.</summary>
    public ParameterEntry? Magnitude { get; init; }

    internal static EmbeddingAdapter Of(LowRankUpdate update, ParameterBuffer parameters) => new()
    {
        Rank = update.Rank,
        Scale = update.Scale,
        A = parameters.Find(update.A)!,
        B = parameters.Find(update.B)!,
        Magnitude = parameters.Find(update.Magnitude),
    };
}
