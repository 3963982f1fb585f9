using Trainer.Numerics.Wide;

namespace Trainer.Numerics.Elementwise;

public static unsafe partial class RmsNorm
{
    /// <summary>The specification of the forward pass; returns r.</summary>
    private static float ForwardRow(float* x, float* weight, float* y, int n, float epsilon, float unitOffset)
    {
        var lanes = stackalloc float[16];
        for (var lane = 0; lane < 16; lane++) lanes[lane] = 0f;
        for (var i = 0; i < n; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(x[i], x[i], lanes[i % 16]);
        var r = 1f / MathF.Sqrt(LaneSum.Of(lanes) / n + epsilon);
        for (var i = 0; i < n; i++) y[i] = x[i] * r * (weight[i] + unitOffset);
        return r;
    }

    /// <summary>The specification of the backward pass.</summary>
    private static void BackwardRow(float* x, float* weight, float r, float* dy, float* residual, float* dx, int n, float unitOffset)
    {
        var lanes = stackalloc float[16];
        for (var lane = 0; lane < 16; lane++) lanes[lane] = 0f;
        for (var i = 0; i < n; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(dy[i] * (weight[i] + unitOffset), x[i], lanes[i % 16]);
        var pull = -(LaneSum.Of(lanes) * r * r * r / n);
        for (var i = 0; i < n; i++)
        {
            var value = MathF.FusedMultiplyAdd(x[i], pull, dy[i] * (weight[i] + unitOffset) * r);
            dx[i] = residual == null ? value : value + residual[i];
        }
    }

    /// <summary>The specification of the weight's gradient, one row of it.</summary>
    private static void AddWeightRow(float* x, float r, float* dy, float* dw, int i, int end)
    {
        for (; i < end; i++) dw[i] = MathF.FusedMultiplyAdd(dy[i] * x[i], r, dw[i]);
    }

    private static void AddWeightRow<T>(float* x, float r, float* dy, float* dw, int i, int end) where T : struct, ILanes<T>
    {
        var factor = T.Create(r);
        for (; i + 16 <= end; i += 16) T.Fused(T.Load(dy + i) * T.Load(x + i), factor, T.Load(dw + i)).Store(dw + i);
        AddWeightRow(x, r, dy, dw, i, end);
    }

    private static float ForwardRow<T>(float* x, float* weight, float* y, int n, float epsilon, float unitOffset) where T : struct, ILanes<T>
    {
        var sum = T.Create(0f);
        var i = 0;
        for (; i + 16 <= n; i += 16)
        {
            var value = T.Load(x + i);
            sum = T.Fused(value, value, sum);
        }
        var lanes = stackalloc float[16];
        sum.Store(lanes);
        for (; i < n; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(x[i], x[i], lanes[i % 16]);
        var r = 1f / MathF.Sqrt(LaneSum.Of(lanes) / n + epsilon);
        var factor = T.Create(r);
        var offset = T.Create(unitOffset);
        for (i = 0; i + 16 <= n; i += 16) (T.Load(x + i) * factor * (T.Load(weight + i) + offset)).Store(y + i);
        for (; i < n; i++) y[i] = x[i] * r * (weight[i] + unitOffset);
        return r;
    }

    private static void BackwardRow<T>(float* x, float* weight, float r, float* dy, float* residual, float* dx, int n, float unitOffset)
        where T : struct, ILanes<T>
    {
        var sum = T.Create(0f);
        var offset = T.Create(unitOffset);
        var i = 0;
        for (; i + 16 <= n; i += 16) sum = T.Fused(T.Load(dy + i) * (T.Load(weight + i) + offset), T.Load(x + i), sum);
        var lanes = stackalloc float[16];
        sum.Store(lanes);
        for (; i < n; i++) lanes[i % 16] = MathF.FusedMultiplyAdd(dy[i] * (weight[i] + unitOffset), x[i], lanes[i % 16]);
        var pull = -(LaneSum.Of(lanes) * r * r * r / n);
        var factor = T.Create(r);
        var pulls = T.Create(pull);
        for (i = 0; i + 16 <= n; i += 16)
        {
            var value = T.Fused(T.Load(x + i), pulls, T.Load(dy + i) * (T.Load(weight + i) + offset) * factor);
            if (residual != null) value += T.Load(residual + i);
            value.Store(dx + i);
        }
        for (; i < n; i++)
        {
            var value = MathF.FusedMultiplyAdd(x[i], pull, dy[i] * (weight[i] + unitOffset) * r);
            dx[i] = residual == null ? value : value + residual[i];
        }
    }
}
