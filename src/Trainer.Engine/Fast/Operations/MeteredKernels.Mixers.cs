namespace Trainer.Engine.Fast.Operations;

internal sealed partial class MeteredKernels
{
    public void Silu(Place x, long count, Place y)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Silu(x, count, y);
    }

    public void SiluBackward(Place x, Place dy, long count, Place dx)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.SiluBackward(x, dy, count, dx);
    }

    public void GateValues(Place gate, Place x, long count, Place y)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.GateValues(gate, x, count, y);
    }

    public void GateValuesBackward(Place gate, Place x, Place dy, long count, Place dx, Place dgate)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.GateValuesBackward(gate, x, dy, count, dx, dgate);
    }

    public void DeltaRule(PassMemory room, DeltaOperands layer, int[] starts, Place state, Place output)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.DeltaRule(room, layer, starts, state, output);
    }

    public void DeltaRuleBackward(PassMemory room, DeltaOperands layer, int[] starts, Place gradient, Place dmixed, Place dstrength, Place dstep)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.DeltaRuleBackward(room, layer, starts, gradient, dmixed, dstrength, dstep);
    }

    public void StateScan(PassMemory room, StateOperands layer, int[] starts, Place state, Place output)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.StateScan(room, layer, starts, state, output);
    }

    public void StateScanBackward(PassMemory room, StateOperands layer, int[] starts, Place gradient, Place dmixed, Place dstep)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.StateScanBackward(room, layer, starts, gradient, dmixed, dstep);
    }

    public void MultiplyRows(Place a, long aStride, Place b, long bStride, Place y, long yStride, long rows, long width)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.MultiplyRows(a, aStride, b, bStride, y, yStride, rows, width);
    }

    public void Convolve(Place x, Place before, Place weight, Place bias, int[] starts, int channels, int taps, Place y)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.Convolve(x, before, weight, bias, starts, channels, taps, y);
    }

    public void ConvolveBackward(Place dy, Place weight, int[] starts, int channels, int taps, Place dx)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.ConvolveBackward(dy, weight, starts, channels, taps, dx);
    }
}
