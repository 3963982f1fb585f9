using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>A layer's token mixer by hand: what carries information from token to token within a segment.</summary>
internal interface IFastMixer
{
    /// <summary>y = mixer(x), and what the backward pass needs.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="state">What the layer keeps.</param>
    /// <param name="x">(T, hidden).</param>
    /// <param name="rows">Rows of y: those that carry loss, or T.</param>
    /// <param name="subset">Whether these are not all.</param>
    /// <param name="y">(rows, hidden); none computes only what the backward pass needs.</param>
    void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y);

    /// <summary>Adds the parameters' gradients and, unless dx is none, writes that of x.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="state">What the layer keeps; used up.</param>
    /// <param name="x">As in the forward pass.</param>
    /// <param name="rows">Rows of dy.</param>
    /// <param name="subset">Whether these are not all.</param>
    /// <param name="dy">(rows, hidden).</param>
    /// <param name="dx">(T, hidden); may be dy.</param>
    void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx);
}
