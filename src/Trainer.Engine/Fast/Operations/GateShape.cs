using Trainer.Models.Config;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Where gates and ups of a feed-forward block lie, and what is made of them.</summary>
/// <param name="Kind">The activation.</param>
/// <param name="Width">Width inside the block.</param>
/// <param name="Stride">Floats from a row to the next.</param>
internal readonly record struct GateShape(Gate Kind, int Width, long Stride)
{
    /// <summary>gpt-oss: gates and ups alternate in a row, both are cut off, see <see cref="ClampedUnit"/>; there is no place of ups.</summary>
    public bool IsClamped { get; init; }

    /// <summary>The activation of a block by the kernels' name.</summary>
    public static Gate KindOf(Activation activation) => activation == Activation.GeluTanh ? Gate.GeluTanh : Gate.Silu;
}
