using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Drawing;

namespace Trainer.Engine.Fast.Layout;

/// <summary>What of the engine's choices the buffers of a pass depend on.</summary>
public sealed record EngineShape
{
    private EngineShape(ComputeKind compute, int threads, IReadOnlyList<MatrixShape> layers, MatrixShape head) =>
        (Compute, Threads, Layers, Head) = (compute, threads, layers, head);

    /// <summary>Type of the frozen products.</summary>
    public ComputeKind Compute { get; init; }

    /// <summary>Compute threads.</summary>
    public int Threads { get; init; }

    /// <summary>The different matrices of the layers.</summary>
    internal IReadOnlyList<MatrixShape> Layers { get; }

    /// <summary>The head's matrix.</summary>
    internal MatrixShape Head { get; }

    /// <summary>Bytes left free behind each buffer: whoever writes beyond its end is found out.</summary>
    internal long Guard { get; init; }

    /// <summary>Aim for the elements of a panel of a frozen matrix.</summary>
    internal long PanelElements { get; init; } = PanelPlan.Elements;

    /// <summary>The engine of a model that is not loaded.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="compute">Type of the frozen products.</param>
    /// <param name="threads">Compute threads.</param>
    /// <param name="form">How the layers' matrices are held, see <see cref="IFrozenWeight.Form"/>.</param>
    /// <param name="storedForm">How the head is, as stored.</param>
    public static EngineShape Of(DecoderBlueprint decoder, ComputeKind compute, int threads, WeightForm form, WeightForm storedForm) =>
        new(compute, threads,
        [.. decoder.Linears.Select(module => new MatrixShape(module.Rows, module.Columns, form)).Concat(MatrixShape.OfExperts(decoder.Config)).Distinct()],
        new(decoder.Head.Rows, decoder.Head.Columns, storedForm));

    /// <summary>The engine of a loaded model.</summary>
    internal static EngineShape Of(LoadedDecoder model, int threads) =>
        new(model.Options.Compute, threads,
        [.. model.Linears.Select(linear => MatrixShape.Of(linear.Weight)).Concat(MatrixShape.OfExperts(model.Config)).Distinct()],
        MatrixShape.Of(model.Head.Weight));
}
