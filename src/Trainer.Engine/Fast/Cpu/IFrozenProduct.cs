using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>Products with frozen matrices in one compute type: operands and results are float32 in memory, what lies between is the implementation's.</summary>
internal unsafe interface IFrozenProduct
{
    /// <summary>y = factor x W^T.</summary>
    /// <param name="room">Scratch, and the most rows that come.</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="x">(rows, in), dense.</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="y">(rows, out).</param>
    /// <param name="stride">Floats from a row of y to the next.</param>
    /// <param name="factor">Multiplier.</param>
    void Forward(ProductRoom room, IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor);

    /// <summary>dx = factor dy W, or that added.</summary>
    /// <param name="room">Scratch, and the most rows that come.</param>
    /// <param name="weight">W (out, in).</param>
    /// <param name="dy">(rows, out).</param>
    /// <param name="stride">Floats from a row of dy to the next.</param>
    /// <param name="rows">Rows of dy.</param>
    /// <param name="dx">(rows, in), dense.</param>
    /// <param name="add">Adds to what dx holds.</param>
    /// <param name="factor">Multiplier.</param>
    void InputGradient(ProductRoom room, IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor);
}
