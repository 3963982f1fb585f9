using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>The trained matrices of one low-rank update, wherever they lie.</summary>
/// <param name="Rank">r.</param>
/// <param name="Inputs">Length of x.</param>
/// <param name="Outputs">Length of y.</param>
/// <param name="Scale">s.</param>
/// <param name="A">(r, inputs).</param>
/// <param name="B">(outputs, r).</param>
internal readonly record struct LowRank(long Rank, long Inputs, long Outputs, float Scale, Place A, Place B)
{
    /// <summary>Gradient of A, dense.</summary>
    public Place GradientA { get; init; }

    /// <summary>Gradient of B (outputs, r), whose elements lie <see cref="Step"/> apart.</summary>
    public Place GradientB { get; init; }

    /// <summary>Elements from a value of B's gradient to the next.</summary>
    public long Step { get; init; } = 1;

    /// <summary>B's bias (outputs) and its gradient, or none.</summary>
    public Place BiasB { get; init; }

    public Place GradientBiasB { get; init; }

    /// <summary>Probability with which an element of x is dropped, and the number of the module in the mask's key.</summary>
    public double Dropout { get; init; }

    public int Index { get; init; }

    /// <summary>The matrices of an adapter.</summary>
    public static LowRank Of(LinearAdapter adapter, long inputs, long outputs, FastParameters parameters)
        => new(adapter.Rank, inputs, outputs, (float)adapter.Scale, parameters.Values(adapter.A), parameters.Values(adapter.B))
    {
        GradientA = parameters.Gradients(adapter.A),
        GradientB = parameters.Gradients(adapter.B),
        BiasB = adapter.BiasB is { } bias ? parameters.Values(bias) : default,
        GradientBiasB = adapter.BiasB is { } trained ? parameters.Gradients(trained) : default,
        Dropout = adapter.Dropout,
        Index = adapter.Index,
    };
}
