using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>A layer's feed-forward block by hand: each token for itself.</summary>
internal interface IFastBlock
{
    /// <summary>y = block(x) (rows, hidden), and what the backward pass needs.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="state">What the layer keeps.</param>
    /// <param name="x">(rows, hidden).</param>
    /// <param name="rows">Rows.</param>
    /// <param name="y">(rows, hidden); none computes only what the backward pass needs.</param>
    void Forward(FastPass pass, LayerState state, Place x, long rows, Place y);

    /// <summary>Adds the parameters' gradients and writes that of x.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="state">What the layer keeps; used up.</param>
    /// <param name="x">As in the forward pass.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="dy">(rows, hidden).</param>
    /// <param name="dx">(rows, hidden); may be dy.</param>
    void Backward(FastPass pass, LayerState state, Place x, long rows, Place dy, Place dx);
}
