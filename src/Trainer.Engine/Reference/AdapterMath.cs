using TorchSharp;
using Trainer.Engine.Dropout;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>What an adapter makes of a linear layer's product W x (before the bias); see <see cref="LinearAdapter"/> for the formulas.</summary>
internal static class AdapterMath
{
    public static Tensor Add(ParameterBuffer parameters, LinearModule linear, LinearAdapter adapter, Tensor x, Tensor product, StepKey? key, ScalarType compute,
        BackwardFault fault)
    {
        var (a, b) = (parameters.Value(adapter.A), parameters.Value(adapter.B));
        var dropped = adapter.Dropout > 0 && key is { } at;
        if (dropped) x = x * DropoutMask.Make(key!.Value, adapter.Index, x.shape[0], x.shape[1], adapter.Dropout, x.device);
        var update = x.matmul(a.t()).matmul(b.t());
        if (adapter.BiasB is { } bias) update = update + parameters.Value(bias);
        if (adapter.Scale != 1) update = update * adapter.Scale;
        if (adapter.Magnitude is not { } magnitude) return product + update;
        // PEFT's form: the undropped product passes, the dropped input takes the rescaling.
        var ratio = parameters.Value(magnitude) / RowNorms(linear.Weight, a, b, adapter.Scale, x.device);
        var direct = dropped ? FrozenLinear.Apply(x, linear.Weight, compute, fault) : product;
        return product + (ratio - 1) * direct + ratio * update;
    }

    /// <summary>|W + scale B A| of each row [out], a constant of the backward pass.</summary>
    public static Tensor RowNorms(IFrozenWeight weight, Tensor a, Tensor b, double scale, Device device)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var norms = empty(weight.Rows, dtype: ScalarType.Float32, device: device);
        FrozenLinear.Panels(weight, ScalarType.Float32, device, (begin, panel) =>
        {
            var rows = b.narrow(0, begin, panel.shape[0]);
            norms.narrow(0, begin, panel.shape[0]).copy_((panel + rows.matmul(a) * scale).square().sum(1).sqrt());
        });
        return norms.MoveToOuterDisposeScope();
    }
}
