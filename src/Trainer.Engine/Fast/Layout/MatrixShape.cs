using Trainer.Engine.Weights;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast.Layout;

/// <summary>A frozen matrix by its sizes.</summary>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
/// <param name="Form">How it is held; null where it is always written out.</param>
internal readonly record struct MatrixShape(long Rows, long Columns, WeightForm? Form)
{
    /// <summary>The matrices of a model's experts. One may be put together of parts, or lie transposed, as its folder has it: it counts as one that is
    /// always written out.</summary>
    public static IEnumerable<MatrixShape> OfExperts(ModelConfig config) => config.Experts is { } experts
        ? [new(experts.InnerRows, experts.LatentWidth ?? config.HiddenSize, null), new(experts.LatentWidth ?? config.HiddenSize, experts.Width, null)]
        : [];

    public static MatrixShape Of(IFrozenWeight weight) => new(weight.Rows, weight.Columns, weight.Form);
}
