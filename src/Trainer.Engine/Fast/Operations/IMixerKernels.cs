using Trainer.Engine.Layers.Delta;

namespace Trainer.Engine.Fast.Operations;

/// <summary>What token mixers other than attention are made of.</summary>
internal interface IMixerKernels
{
    /// <summary>y = a b, row by row; y may be a or b.</summary>
    void MultiplyRows(Place a, long aStride, Place b, long bStride, Place y, long yStride, long rows, long width);

    /// <summary>Each channel by itself over the last few tokens of its segment: y_t = sum over j of w_j x_(t - taps + 1 + j) + bias.</summary>
    /// <param name="x">(T, channels).</param>
    /// <param name="before">(taps - 1, channels): what came before the only segment; none where segments begin with zeros.</param>
    /// <param name="weight">(channels, taps), the last tap is the present token's.</param>
    /// <param name="bias">(channels), or none.</param>
    /// <param name="starts">First token of each segment, and the number of tokens.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="taps">Taps.</param>
    /// <param name="y">(T, channels).</param>
    void Convolve(Place x, Place before, Place weight, Place bias, int[] starts, int channels, int taps, Place y);

    /// <summary>The gated delta rule within segments, see <see cref="Trainer.Engine.Layers.Delta.DeltaRule"/>.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="layer">The operands.</param>
    /// <param name="starts">First token of each segment, and the number of tokens.</param>
    /// <param name="state">(value heads, key size, value size): the state of the only segment so far, becomes the one after its last token; none where states
    /// begin with zeros.</param>
    /// <param name="output">(T, value heads, value size).</param>
    void DeltaRule(PassMemory room, DeltaOperands layer, int[] starts, Place state, Place output);

    /// <summary>Gradients of the operands from that of the output, where states begin with zeros; all targets are overwritten.</summary>
    void DeltaRuleBackward(PassMemory room, DeltaOperands layer, int[] starts, Place gradient, Place dmixed, Place dstrength, Place dstep);

    /// <summary>A state-space scan within segments, see <see cref="Trainer.Engine.Layers.Mamba.StateScan"/>.</summary>
    /// <param name="room">Scratch.</param>
    /// <param name="layer">The operands.</param>
    /// <param name="starts">First token of each segment, and the number of tokens.</param>
    /// <param name="state">(heads, state size, head size): the state of the only segment so far, becomes the one after its last token; none where states begin
    /// with zeros.</param>
    /// <param name="output">(T, heads, head size).</param>
    void StateScan(PassMemory room, StateOperands layer, int[] starts, Place state, Place output);

    /// <summary>Gradients of values, B and C (T, channels) and of steps (T, heads) from that of the output, where states begin with zeros; all targets are
    /// overwritten.</summary>
    void StateScanBackward(PassMemory room, StateOperands layer, int[] starts, Place gradient, Place dmixed, Place dstep);

    /// <summary>dx of <see cref="Convolve"/> where segments begin with zeros.</summary>
    void ConvolveBackward(Place dy, Place weight, int[] starts, int channels, int taps, Place dx);
}
