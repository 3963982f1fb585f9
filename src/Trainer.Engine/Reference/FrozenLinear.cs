using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>
/// y = x W^T with a frozen W in any form. Nothing is saved for the backward pass but the weight object: dx = g W materialises W again.
/// x is [T, in], y [T, out]. W is written out in panels of rows, so the scratch is small however large W is.
/// </summary>
internal sealed unsafe class FrozenLinear : autograd.SingleTensorFunction<FrozenLinear>
{
    private const long PanelFloats = 4 << 20;

    public override string Name => nameof(FrozenLinear);

    /// <summary>The product as part of the graph.</summary>
    public static Tensor Apply(Tensor x, IFrozenWeight weight, ScalarType compute, BackwardFault fault) => apply(x, weight, compute, fault);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, weight, compute) = ((Tensor)vars[0], (IFrozenWeight)vars[1], (ScalarType)vars[2]);
        ctx.save_data("weight", weight);
        ctx.save_data("compute", compute);
        ctx.save_data("fault", vars[3]);
        return Product(x, weight, compute);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var weight = (IFrozenWeight)ctx.get_data("weight");
        var after = (BackwardFault)ctx.get_data("fault");
        Tensor dx;
        try
        {
            dx = Gradient(grad_output, weight, (ScalarType)ctx.get_data("compute"));
        }
#pragma warning disable CA1031 // any exception thrown here would cross native frames and abort the process
        catch (Exception fault)
#pragma warning restore CA1031
        {
            after.Keep(fault);
            dx = zeros(grad_output.shape[0], weight.Columns, dtype: ScalarType.Float32, device: grad_output.device);
        }
        grad_output.Dispose();
        return [after.Hold(dx), null!, null!, null!];
    }

    /// <summary>x W^T, float32.</summary>
    public static Tensor Product(Tensor x, IFrozenWeight weight, ScalarType compute)
    {
        using var scope = NewDisposeScope();
        var plain = compute == ScalarType.Float32 && x.device.type == DeviceType.CPU;
        if (plain && FewRows.Takes(weight, x.shape[0]))
        {
            var few = empty(x.shape[0], weight.Rows, dtype: ScalarType.Float32);
            FewRows.Product(weight, TorchMemory.Pointer(x.contiguous()), x.shape[0], TorchMemory.Pointer(few), weight.Rows);
            return few.MoveToOuterDisposeScope();
        }
        if (plain && weight.Resident is { } resident) return x.matmul(resident.t()).MoveToOuterDisposeScope();
        var y = empty(x.shape[0], weight.Rows, dtype: ScalarType.Float32, device: x.device);
        var cast = x.to(compute);
        Panels(weight, compute, x.device, (begin, panel) =>
        {
            var part = y.narrow(1, begin, panel.shape[0]);
            if (compute == ScalarType.Float32) part.addmm_(cast, panel.t(), 0, 1);
            else part.copy_(cast.matmul(panel.t()));
        });
        return y.MoveToOuterDisposeScope();
    }

    private static Tensor Gradient(Tensor gradient, IFrozenWeight weight, ScalarType compute)
    {
        using var scope = NewDisposeScope();
        if (weight.Resident is { } resident && compute == ScalarType.Float32 && gradient.device.type == DeviceType.CPU)
            return gradient.matmul(resident).MoveToOuterDisposeScope();
        var dx = zeros(gradient.shape[0], weight.Columns, dtype: ScalarType.Float32, device: gradient.device);
        var cast = gradient.to(compute);
        Panels(weight, compute, gradient.device, (begin, panel) =>
        {
            var part = cast.narrow(1, begin, panel.shape[0]);
            if (compute == ScalarType.Float32) dx.addmm_(part, panel, 1, 1);
            else dx.add_(part.matmul(panel));
        });
        return dx.MoveToOuterDisposeScope();
    }

    /// <summary>Visits the weight's rows as panels [rows, in] in the compute type, on the device.</summary>
    public static void Panels(IFrozenWeight weight, ScalarType compute, Device device, Action<long, Tensor> visit)
    {
        using var scope = NewDisposeScope();
        var rows = Math.Clamp(PanelFloats / weight.Columns, 1, weight.Rows);
        var scratch = empty(rows, weight.Columns, dtype: ScalarType.Float32);
        var pointer = (float*)TorchNative.DataPointer(scratch);
        for (long begin = 0; begin < weight.Rows; begin += rows)
        {
            using var inner = NewDisposeScope();
            var count = Math.Min(rows, weight.Rows - begin);
            weight.Materialize(begin, count, pointer);
            visit(begin, scratch.narrow(0, 0, count).to(compute, device));
        }
    }
}
