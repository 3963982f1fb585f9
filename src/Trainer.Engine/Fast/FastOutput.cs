using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>A mixer's last product, for the rows of the output that are asked for.</summary>
internal sealed class FastOutput(LinearModule output, IKernels kernels, FastLinear linear)
{
    private readonly int _width = (int)output.InFeatures;

    /// <summary>y (rows, hidden) of what was mixed (T, width); where y is none, only what the backward pass needs.</summary>
    public void Forward(FastPass pass, LayerState state, Place mixed, long rows, bool subset, Place y)
    {
        var x = Rows(pass, mixed, rows, subset);
        if (y.IsNone) linear.Keep(pass, output, x, rows, state.Of(output));
        else linear.Forward(pass, output, x, rows, y, output.OutFeatures, state.Of(output));
    }

    /// <summary>The gradient of what was mixed (T, width), 0 in rows that nobody asked for.</summary>
    public void Backward(FastPass pass, LayerState state, Place mixed, long rows, bool subset, Place dy, Place gradient)
    {
        var target = subset ? pass.Buffers.RowQuery : gradient;
        linear.Backward(pass, output, Rows(pass, mixed, rows, subset), rows, dy, output.OutFeatures, target, false, state.Of(output));
        if (subset) kernels.Scatter(target, pass.Batch.LossRows, rows, _width, gradient, pass.Batch.Tokens);
    }

    private Place Rows(FastPass pass, Place mixed, long rows, bool subset)
    {
        if (!subset) return mixed;
        kernels.Gather(mixed, pass.Batch.LossRows, rows, _width, pass.Buffers.RowAttended);
        return pass.Buffers.RowAttended;
    }
}
