using TorchSharp;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Kernels whose time and operations are counted by part, kernels of our own in the place of some. On a device that queues its work, the time is that
/// of the queueing.</summary>
internal sealed partial class MeteredKernels(IKernels inner, StepMeter meter, OwnKernels own) : IKernels
{
    public DeviceMemory Allocate(long bytes) => inner.Allocate(bytes);

    public Place Of(torch.Tensor tensor) => inner.Of(tensor);

    public void Upload<T>(ReadOnlySpan<T> source, Place target)
        where T : unmanaged => inner.Upload(source, target);

    public void Download<T>(Place source, Span<T> target)
        where T : unmanaged => inner.Download(source, target);

    public ElementType LossType => inner.LossType;

    public void Dispose() => inner.Dispose();

    public void Synchronize() => inner.Synchronize();

    public IDeviceEvent? Record() => inner.Record();

    public ILayerRooms? Rooms => inner.Rooms;

    public void Fill(Place target, long count, float value)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Fill(target, count, value);
    }

    public void Copy(Place source, long sourceStride, Place target, long targetStride, long width, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Copy(source, sourceStride, target, targetStride, width, rows);
    }

    public void TimesTransposed(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
    {
        using var time = meter.Measure(StepPart.Adapters, 2.0 * m * n * k);
        inner.TimesTransposed(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    public void Times(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
    {
        using var time = meter.Measure(StepPart.Adapters, 2.0 * m * n * k);
        inner.Times(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    public void TransposedTimes(long m, long n, long k, float alpha, Place a, long lda, Place b, long ldb, float beta, Place c, long ldc)
    {
        using var time = meter.Measure(StepPart.Adapters, 2.0 * m * n * k);
        inner.TransposedTimes(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    public void FrozenProduct(PassMemory room, IFrozenWeight weight, bool isHead, Place x, long rows, Place y, long stride, float factor)
    {
        using var time = meter.Measure(isHead ? StepPart.Loss : StepPart.Products, 2.0 * rows * weight.Rows * weight.Columns);
        (own.Find<OwnKernels.FrozenProduct>() ?? inner.FrozenProduct)(room, weight, isHead, x, rows, y, stride, factor);
    }

    public void FrozenInputGradient(PassMemory room, IFrozenWeight weight, bool isHead, Place dy, long stride, long rows, Place dx, bool add, float factor)
    {
        using var time = meter.Measure(isHead ? StepPart.Loss : StepPart.Products, 2.0 * rows * weight.Rows * weight.Columns);
        (own.Find<OwnKernels.FrozenInputGradient>() ?? inner.FrozenInputGradient)(room, weight, isHead, dy, stride, rows, dx, add, factor);
    }

    public void RowNorms(PassMemory room, IFrozenWeight weight, Place upper, Place lower, long rank, float scale, Place norms)
    {
        using var time = meter.Measure(StepPart.Adapters, 2.0 * weight.Rows * weight.Columns * rank);
        inner.RowNorms(room, weight, upper, lower, rank, scale, norms);
    }

    public void AddScaled(Place a, Place b, float scale, Place sum, long count)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.AddScaled(a, b, scale, sum, count);
    }

    public void Multiply(Place a, Place b, Place product, long count)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.Multiply(a, b, product, count);
    }

    public void AddProduct(Place a, Place b, Place sum, long count)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.AddProduct(a, b, sum, count);
    }

    public void AddRow(Place row, float factor, long rows, long width, Place y, long stride)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.AddRow(row, factor, rows, width, y, stride);
    }

    public void ScaleColumns(Place factors, Place x, long xStride, long rows, long width, Place y, long yStride, bool add)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.ScaleColumns(factors, x, xStride, rows, width, y, yStride, add);
    }

    public void AddTransposed(Place source, long rows, long columns, Place target, long step)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.AddTransposed(source, rows, columns, target, step);
    }

    public void Ratio(Place a, Place b, float less, Place ratio, long count)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.Ratio(a, b, less, ratio, count);
    }

    public void AddColumnDots(PassMemory room, Place a, long stride, Place b, long rows, long width, Place divisor, Place target)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.AddColumnDots(room, a, stride, b, rows, width, divisor, target);
    }

    public void Mask(StepKey key, int module, long rows, long columns, double probability, Place mask)
    {
        using var time = meter.Measure(StepPart.Adapters);
        (own.Find<OwnKernels.Mask>() ?? inner.Mask)(key, module, rows, columns, probability, mask);
    }

    public void Gather(Place source, Place index, long count, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Gather(source, index, count, width, target);
    }

    public void Scatter(Place source, Place index, long count, int width, Place target, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Scatter(source, index, count, width, target, rows);
    }

    public void ScatterAdd(Place source, Place index, long count, int width, Place target, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.ScatterAdd(source, index, count, width, target, rows);
    }

    public void Embed(IFrozenWeight weight, Place trained, int[] ids, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Embed(weight, trained, ids, width, target);
    }

    public void AddNoise(TokenBatch batch, StepKey key, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.AddNoise(batch, key, width, target);
    }

    public void Scale(Place x, long count, float factor)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Scale(x, count, factor);
    }

    public void EmbedGradient(Place gradient, int[] ids, float factor, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.EmbedGradient(gradient, ids, factor, width, target);
    }

    public void Norm(Place x, Place weight, float offset, float epsilon, Place y, Place inverse, int width, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Norm(x, weight, offset, epsilon, y, inverse, width, rows);
    }

    public void AddNorm(Place x, Place delta, Place sum, Place weight, Place y, Place inverse, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        (own.Find<OwnKernels.AddNorm>() ?? inner.AddNorm)(x, delta, sum, weight, y, inverse, rows);
    }

    public void NormBackward(Place x, Place weight, float offset, Place inverse, Place dy, Place residual, Place dx, int width, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        (own.Find<OwnKernels.NormBackward>() ?? inner.NormBackward)(x, weight, offset, inverse, dy, residual, dx, width, rows);
    }

    public void NormWeightGradient(Place x, Place inverse, Place dy, Place target, int width, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.NormWeightGradient(x, inverse, dy, target, width, rows);
    }

    public void ScaleRows(Place x, long stride, int width, Place factors, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.ScaleRows(x, stride, width, factors, rows);
    }

    public void Rotate(Place x, int stride, int heads, int size, Place cos, Place sin, Place positions, int half, bool pairs, bool inverse, long tokens)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        (own.Find<OwnKernels.Rotate>() ?? inner.Rotate)(x, stride, heads, size, cos, sin, positions, half, pairs, inverse, tokens);
    }

    public void Gate(GateShape gates, Place gate, Place up, Place activated, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        (own.Find<OwnKernels.Gate>() ?? inner.Gate)(gates, gate, up, activated, rows);
    }

    public void GateBackward(GateShape gates, Place gate, Place up, Place gradient, long rows)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        (own.Find<OwnKernels.GateBackward>() ?? inner.GateBackward)(gates, gate, up, gradient, rows);
    }

    public void Clamp(Place x, long count, float limit)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Clamp(x, count, limit);
    }

    public void ClampBackward(Place x, long count, float limit, Place dx)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.ClampBackward(x, count, limit, dx);
    }

    public void Attention(PassMemory room, int[] starts, LayerAttention layer)
    {
        using var time = meter.Measure(StepPart.Attention, room.Layout.Attention.Operations(layer.Shape, starts, layer.Window, 2));
        inner.Attention(room, starts, layer);
    }

    public void ContinueAttention(PassMemory room, int[] starts, LayerAttention layer, HeldTokens[] texts)
    {
        using var time = meter.Measure(StepPart.Attention);
        inner.ContinueAttention(room, starts, layer, texts);
    }

    public void AttentionBackward(PassMemory room, int[] starts, LayerAttention layer, Place gradient, Place dq, Place dk, Place dv)
    {
        using var time = meter.Measure(StepPart.Attention, room.Layout.Attention.Operations(layer.Shape, starts, layer.Window, 5));
        inner.AttentionBackward(room, starts, layer, gradient, dq, dk, dv);
    }

    public void CapLogits(Place logits, long rows)
    {
        using var time = meter.Measure(StepPart.Loss);
        inner.CapLogits(logits, rows);
    }

    public void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing, Place means)
    {
        using var time = meter.Measure(StepPart.Loss);
        (own.Find<OwnKernels.CrossEntropy>() ?? inner.CrossEntropy)(room, logits, rows, targets, factors, losses, scale, smoothing, means);
    }
}
