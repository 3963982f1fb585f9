using Trainer.Models.Config;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Where gates and ups of a feed-forward block lie, and what is made of them.</summary>
/// <param name="Kind">The activation.</param>
/// <param name="Width">Width inside the block.</param>
/// <param name="Stride">Floats from a row to the next.</param>
internal readonly record struct GateShape(Gate Kind, int Width, long Stride)
{
    /// <summary>There are no gates, and no place of ups: the activation stands alone, see <see cref="SoleUnit"/>.</summary>
    public bool IsAlone { get; init; }

    /// <summary>gpt-oss: gates and ups alternate in a row, both are cut off, see <see cref="ClampedUnit"/>; there is no place of ups.</summary>
    public bool IsClamped { get; init; }

    /// <summary>The shape of a block.</summary>
    /// <param name="activation">SiLU or GELU's tanh form of gates; ReLU squared without gates.</param>
    /// <param name="isGated">Whether it has gates.</param>
    /// <param name="width">Width inside it.</param>
    /// <param name="stride">Floats from a row of gates, or of what stands in their place, to the next.</param>
    public static GateShape Of(Activation activation, bool isGated, int width, long stride)
        => new(activation == Activation.GeluTanh ? Gate.GeluTanh : Gate.Silu, width, stride) { IsAlone = !isGated };
}
