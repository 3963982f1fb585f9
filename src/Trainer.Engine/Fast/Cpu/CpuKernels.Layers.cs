using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

internal sealed unsafe partial class CpuKernels
{
    public void Norm(Place x, Place weight, float offset, float epsilon, Place y, Place inverse, int width, long rows)
    {
        float* from = Floats(x), w = Floats(weight), to = Floats(y), scales = Floats(inverse);
        ComputeThreads.For(0, rows, GrainOf(width), (begin, end) => RmsNorm.Forward(from, w, to, scales, width, epsilon, offset, begin, end));
    }

    public void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows)
    {
        float* from = Floats(x), more = Floats(delta), total = Floats(sum), w = Floats(weight), to = Floats(y), scales = Floats(inverse);
        ComputeThreads.For(0, rows, GrainOf(_shape.Hidden), (begin, end) => RmsNorm.AddForward(
            from, more, _shape.ResidualMultiplier, total, w, to, scales, _shape.Hidden, _shape.Epsilon, _shape.UnitOffset, begin, end));
    }

    public void NormBackward(Place x, Place weight, float offset, Place inverse, Place dy, Place residual, Place dx, int width, long rows)
    {
        float* from = Floats(x), w = Floats(weight), scales = Floats(inverse), upper = Floats(dy), around = Floats(residual), to = Floats(dx);
        ComputeThreads.For(0, rows, GrainOf(width), (begin, end) => RmsNorm.Backward(from, w, scales, upper, around, to, width, offset, begin, end));
    }

    // Columns are split among threads, so each sum has one owner and one order.
    public void NormWeightGradient(Place x, Place inverse, Place dy, Place target, int width, long rows)
    {
        float* from = Floats(x), scales = Floats(inverse), upper = Floats(dy), to = Floats(target);
        ComputeThreads.For(0, width, ColumnsOf(rows), (begin, end) => RmsNorm.WeightGradient(from, scales, upper, to, width, rows, (int)begin, (int)end));
    }

    public void Rotate(Place x, int stride, int heads, int size, Place cos, Place sin, Place positions, int half, bool pairs, bool inverse, long tokens)
    {
        float* values = Floats(x), c = Floats(cos), s = Floats(sin);
        var rows = HostMemory.At<int>(positions);
        ComputeThreads.For(0, tokens, GrainOf(heads * size),
            (begin, end) => Rotary.Turn(values, c, s, rows, stride, heads, size, half, pairs, inverse, begin, end));
    }

    public void Gate(GateShape shape, Place gate, Place up, Place activated, long rows)
    {
        var (wide, stride) = (shape.Width, shape.Stride);
        float* g = Floats(gate), u = Floats(up), to = Floats(activated);
        ComputeThreads.For(0, rows, GrainOf(wide), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                if (shape.IsClamped) ClampedUnit.Forward(g + t * stride, to + t * wide, wide);
                else if (shape.IsAlone) SoleUnit.Forward(g + t * stride, to + t * wide, 0, wide);
                else GatedUnit.Forward(shape.Kind, g + t * stride, u + t * stride, to + t * wide, 0, wide);
            }
        });
    }

    public void GateBackward(GateShape shape, Place gate, Place up, Place gradient, long rows)
    {
        var (wide, stride) = (shape.Width, shape.Stride);
        float* g = Floats(gate), u = Floats(up), from = Floats(gradient);
        ComputeThreads.For(0, rows, GrainOf(wide), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                if (shape.IsClamped) ClampedUnit.Backward(g + t * stride, from + t * wide, wide);
                else if (shape.IsAlone) SoleUnit.Backward(g + t * stride, from + t * wide, g + t * stride, 0, wide);
                else GatedUnit.Backward(shape.Kind, g + t * stride, u + t * stride, from + t * wide, g + t * stride, u + t * stride, 0, wide);
            }
        });
    }

    public void Silu(Place x, long count, Place y)
    {
        float* from = Floats(x), to = Floats(y);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) to[i] = from[i] * Sigmoid(from[i]);
        });
    }

    public void SiluBackward(Place x, Place dy, long count, Place dx)
    {
        float* from = Floats(x), upper = Floats(dy), to = Floats(dx);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++)
            {
                var share = Sigmoid(from[i]);
                to[i] = upper[i] * share * (1f + from[i] * (1f - share));
            }
        });
    }

    public void GateValues(Place gate, Place x, long count, Place y)
    {
        float* gates = Floats(gate), from = Floats(x), to = Floats(y);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) to[i] = from[i] * Sigmoid(gates[i]);
        });
    }

    public void GateValuesBackward(Place gate, Place x, Place dy, long count, Place dx, Place dgate)
    {
        float* gates = Floats(gate), from = Floats(x), upper = Floats(dy), to = Floats(dx), toGates = Floats(dgate);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++)
            {
                var (share, d) = (Sigmoid(gates[i]), upper[i]);
                toGates[i] = d * from[i] * share * (1f - share);
                to[i] = d * share;
            }
        });
    }

    public void ScaleRows(Place x, long stride, int width, Place factors, long rows)
    {
        float* values = Floats(x), by = Floats(factors);
        ComputeThreads.For(0, rows, GrainOf(width), (begin, end) =>
        {
            for (var t = begin; t < end; t++)
                for (var i = 0; i < width; i++) values[t * stride + i] *= by[t];
        });
    }

    public void Clamp(Place x, long count, float limit)
    {
        var values = Floats(x);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) values[i] = Math.Clamp(values[i], -limit, limit);
        });
    }

    public void ClampBackward(Place x, long count, float limit, Place dx)
    {
        float* values = Floats(x), gradient = Floats(dx);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++)
                if (MathF.Abs(values[i]) >= limit) gradient[i] = 0f;
        });
    }

    public void Attention(PassMemory room, int[] starts, LayerAttention layer)
        => BlockAttention.Forward(ProductRoom.Of(room), starts, new HostAttention(layer));

    public void ContinueAttention(PassMemory room, int[] starts, LayerAttention layer, HeldTokens[] texts)
        => BlockAttention.Continue(ProductRoom.Of(room), starts, new HostAttention(layer), texts);

    public void AttentionBackward(PassMemory room, int[] starts, LayerAttention layer, Place gradient, Place dq, Place dk, Place dv)
        => _attentionGradient.Run(ProductRoom.Of(room), starts, new HostAttention(layer), Floats(gradient), Floats(dq), Floats(dk), Floats(dv));

    // Rows of so many columns, and columns of so many rows, that are worth a thread.
    private static long GrainOf(long width) => Math.Max(1, Grain / width);

    private static long ColumnsOf(long rows) => Math.Max(LeastColumns, GrainOf(rows));
}
