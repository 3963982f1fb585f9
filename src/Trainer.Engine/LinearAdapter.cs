using Trainer.Models.Drawing;

namespace Trainer.Engine;

/// <summary>
/// A low-rank update of one linear layer (LoRA, arXiv 2106.09685): y = W x + scale * B A x, with A [rank, in] and B [out, rank];
/// with a magnitude m [out] (DoRA, arXiv 2402.09353) y = m / |W + scale B A| * (W x + scale B A x), the row norms taken as constants.
/// </summary>
public sealed class LinearAdapter
{
    /// <summary>Rank r.</summary>
    public required int Rank { get; init; }

    /// <summary>alpha / r, or alpha / sqrt(r) with rsLoRA.</summary>
    public required double Scale { get; init; }

    /// <summary>alpha, as adapter_config.json holds it.</summary>
    public required double Alpha { get; init; }

    /// <summary>Probability with which an element of the adapter's input is dropped.</summary>
    public double Dropout { get; init; }

    /// <summary>A stable number of the module, part of the dropout mask's key.</summary>
    public required int Index { get; init; }

    /// <summary>A, [rank, in].</summary>
    public required ParameterEntry A { get; init; }

    /// <summary>B, [out, rank].</summary>
    public required ParameterEntry B { get; init; }

    /// <summary>DoRA magnitude [out], or null.</summary>
    public ParameterEntry? Magnitude { get; init; }

    /// <summary>Bias of B [out] (added times scale), or null.</summary>
    public ParameterEntry? BiasB { get; init; }

    internal static LinearAdapter Of(LowRankUpdate update, ParameterBuffer parameters) => new()
    {
        Rank = update.Rank,
        Scale = update.Scale,
        Alpha = update.Alpha,
        Dropout = update.Dropout,
        Index = update.Index,
        A = parameters.Find(update.A)!,
        B = parameters.Find(update.B)!,
        BiasB = parameters.Find(update.BiasB),
        Magnitude = parameters.Find(update.Magnitude),
    };
}
