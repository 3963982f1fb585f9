using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>Attention and a state-space mixer on the same input by hand, added.</summary>
/// <remarks>
/// <code>
/// y = a attention(i x) + m mamba(x)
/// </code>
/// </remarks>
internal sealed class FastSideBySide(SideBySide config, IFastMixer attention, IFastMixer mamba, FastShape shape, IKernels kernels) : IFastMixer
{
    private readonly float _input = (float)config.AttentionInput, _attention = (float)config.AttentionOutput, _mamba = (float)config.MambaOutput;

    public void Forward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place y)
    {
        attention.Forward(pass, state, Input(pass, x), rows, subset, y);
        var other = y.IsNone ? default : pass.Memory.Floats(BufferId.SideOutput);
        mamba.Forward(pass, state, x, rows, subset, other);
        if (y.IsNone) return;
        kernels.Scale(y, rows * shape.Hidden, _attention);
        kernels.AddScaled(y, other, _mamba, y, rows * shape.Hidden);
    }

    public void Backward(FastPass pass, LayerState state, Place x, long rows, bool subset, Place dy, Place dx)
    {
        var (upper, count) = (pass.Memory.Floats(BufferId.SideOutput), pass.Batch.Tokens * (long)shape.Hidden);
        // dx may lie in dy's place: what attention gives comes last.
        var other = dx.IsNone ? default : pass.Memory.Floats(BufferId.SideGradient);
        kernels.CopyScaled(dy, _mamba, upper, rows * shape.Hidden);
        mamba.Backward(pass, state, x, rows, subset, upper, other);
        kernels.CopyScaled(dy, _attention, upper, rows * shape.Hidden);
        attention.Backward(pass, state, Input(pass, x), rows, subset, upper, dx);
        if (dx.IsNone) return;
        kernels.Scale(dx, count, _input);
        kernels.AddScaled(dx, other, 1f, dx, count);
    }

    private Place Input(FastPass pass, Place x)
    {
        if (_input == 1f) return x;
        var scaled = pass.Memory.Floats(BufferId.SideInput);
        kernels.CopyScaled(x, _input, scaled, pass.Batch.Tokens * (long)shape.Hidden);
        return scaled;
    }
}
