using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Products;

namespace Trainer.Engine.Fast;

/// <summary>One linear layer by hand: frozen product and low-rank update forward, and both gradients straight into the flat buffer.</summary>
/// <remarks>
/// <code>
/// y = x W^T + s (x' A^T) B^T + bias           x' = x with dropped elements, u = x' A^T is kept
/// dx = dy W + mask (du A),  du = s dy B;  dB += s dy^T u;  dA += du^T x'
/// </code>
/// The frozen products are an <see cref="IFrozenProduct"/>'s, in the compute type asked for; adapters, biases and logits are float32 in any.
/// </remarks>
internal sealed unsafe partial class FastLinear
{
    private readonly CausalModel _model;
    private readonly StepMeter _meter;
    private readonly ParameterBuffer _parameters;
    private readonly IFrozenProduct _exact;
    private readonly IFrozenProduct _products;
    private readonly IFrozenProduct _headGradient;
    private readonly PanelPlan _panels;

    public FastLinear(CausalModel model, StepMeter meter, PanelPlan panels)
    {
        (_model, _meter, _parameters, _panels) = (model, meter, model.Parameters, panels);
        _exact = Exact(meter, panels);
        _products = model.Options.Compute switch
        {
            ComputeKind.BFloat16 => new BFloat16Product(meter, panels),
            ComputeKind.Int8 => new Int8Product(meter, panels),
            _ => _exact,
        };
        _headGradient = model.Options.Compute == ComputeKind.BFloat16 ? _products : _exact;
    }

    /// <summary>The float32 products that are the fastest on this processor.</summary>
    public static IFrozenProduct Exact(StepMeter meter, PanelPlan panels) => TileProduct.IsFast ? new TiledProduct(meter, panels) : new BlasProduct(meter, panels);

    /// <summary>Scratch of <see cref="Exact"/> for T rows of activations.</summary>
    public static IEnumerable<PassBuffer> ExactBuffers(long tokens, IReadOnlyList<MatrixShape> matrices, int threads, long panelElements = PanelPlan.Elements) =>
        TileProduct.IsFast ? TiledProduct.Buffers(tokens, threads) : BlasProduct.Buffers(tokens, matrices, panelElements);

    /// <summary>y (rows, out) in rows of <paramref name="stride"/> floats from x (rows, in), dense, times <paramref name="factor"/> (without DoRA only).</summary>
    public void Forward(FastPass pass, LinearModule linear, float* x, long rows, float* y, long stride, AdapterState kept, float factor = 1f, StepPart part = StepPart.Products)
    {
        var adapter = AdapterOf(linear);
        if (adapter?.Magnitude is not null)
        {
            ForwardDora(pass, linear, adapter, x, rows, y, stride, kept);
        }
        else
        {
            Product(pass, linear, x, rows, y, stride, factor, part);
            Keep(pass, linear, x, rows, kept);
            if (adapter is not null) Raise(linear, adapter, rows, kept.Low, y, stride, factor);
        }
        if (_model.AdaptersEnabled && linear.TrainedBias is { } trained) AddRow(Values(trained), factor, rows, linear.OutFeatures, y, stride);
        else if (linear.Bias is { } bias) AddRow(TorchMemory.Pointer(bias), factor, rows, linear.OutFeatures, y, stride);
    }

    /// <summary>What the backward pass needs of a forward pass whose output nobody reads.</summary>
    public void Keep(FastPass pass, LinearModule linear, float* x, long rows, AdapterState kept)
    {
        if (AdapterOf(linear) is not { } adapter) return;
        var start = StepMeter.Now;
        var (r, wide) = (adapter.Rank, linear.InFeatures);
        var input = Drops(pass, adapter) ? Drop(pass, adapter, x, rows, wide) : x;
        Gemm.TimesTransposed(rows, r, wide, 1f, input, wide, Values(adapter.A), wide, 0f, kept.Low, r);
        _meter.Add(StepPart.Adapters, start, 2.0 * rows * r * wide);
        if (adapter.Magnitude is not null) KeepWhole(pass, linear, adapter, input, rows, kept);
    }

    /// <summary>Adds the parameters' gradients and, where <paramref name="dx"/> is given, writes or adds the input's; <paramref name="factor"/> as in the forward pass.</summary>
    public void Backward(
        FastPass pass, LinearModule linear, float* x, long rows, float* dy, long stride, float* dx, bool add, AdapterState kept, float factor = 1f, StepPart part = StepPart.Products)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        var adapter = AdapterOf(linear);
        if (_model.AdaptersEnabled && linear.TrainedBias is { } bias) AddRowSum(pass, bias, factor, rows, dy, stride, high);
        if (adapter?.Magnitude is not null)
        {
            BackwardDora(pass, linear, adapter, x, rows, dy, stride, dx, add, kept);
            return;
        }
        if (dx != null) InputGradient(pass, linear, dy, stride, rows, dx, add, factor, part);
        if (Trained(linear) is { } weight) WeightGradient(weight, x, rows, dy, stride, factor, part);
        if (adapter is null) return;
        var drops = Drops(pass, adapter);
        LowRankGradients(pass, adapter, drops ? Drop(pass, adapter, x, rows, wide) : x, rows, wide, dy, stride, high, kept.Low, factor);
        if (dx == null) return;
        // The dropped input is used up: its room takes du A, which the same mask thins out.
        AddLow(pass, adapter, rows, wide, drops ? pass.Memory.Floats(BufferId.Dropped) : dx, drops ? 0f : 1f);
        if (drops) AddMasked(pass, dx, rows * wide);
    }

    // y = factor x W^T without adapter or bias.
    private void Product(FastPass pass, LinearModule linear, float* x, long rows, float* y, long stride, float factor, StepPart part)
    {
        var start = StepMeter.Now;
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (Trained(linear) is { } weight)
        {
            Gemm.TimesTransposed(rows, high, wide, factor, x, wide, Values(weight), wide, 0f, y, stride);
        }
        else if (FewRows.Takes(linear.Weight, rows))
        {
            FewRows.Product(linear.Weight, x, rows, y, stride);
            if (factor != 1f) Scale(y, rows, high, stride, factor);
        }
        else
        {
            (linear == _model.Head ? _exact : _products).Forward(Room(pass), linear.Weight, x, rows, y, stride, factor, part);
            return;
        }
        _meter.Add(part, start, 2.0 * rows * high * wide);
    }

    // dx = factor dy W, or that added.
    private void InputGradient(FastPass pass, LinearModule linear, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        if (Trained(linear) is not { } weight)
        {
            (linear == _model.Head ? _headGradient : _products).InputGradient(Room(pass), linear.Weight, dy, stride, rows, dx, add, factor, part);
            return;
        }
        var start = StepMeter.Now;
        long wide = linear.InFeatures, high = linear.OutFeatures;
        Gemm.Times(rows, wide, high, factor, dy, stride, Values(weight), wide, add ? 1f : 0f, dx, wide);
        _meter.Add(part, start, 2.0 * rows * high * wide);
    }

    // dW += factor dy^T x of a matrix trained whole.
    private void WeightGradient(ParameterEntry weight, float* x, long rows, float* dy, long stride, float factor, StepPart part)
    {
        var start = StepMeter.Now;
        var (high, wide) = (weight.Shape[0], weight.Shape[1]);
        Gemm.TransposedTimes(high, wide, rows, factor, dy, stride, x, wide, 1f, Gradients(weight), wide);
        _meter.Add(part, start, 2.0 * rows * high * wide);
    }

    private ParameterEntry? Trained(LinearModule linear) => _model.AdaptersEnabled ? linear.TrainedWeight : null;

    private LinearAdapter? AdapterOf(LinearModule linear) => _model.AdaptersEnabled ? linear.Adapter : null;

    // y += factor s (u B^T + b)
    private void Raise(LinearModule linear, LinearAdapter adapter, long rows, float* u, float* y, long stride, float factor = 1f)
    {
        var start = StepMeter.Now;
        var (r, high, scale) = (adapter.Rank, linear.OutFeatures, (float)adapter.Scale * factor);
        Gemm.TimesTransposed(rows, high, r, scale, u, r, Values(adapter.B), r, 1f, y, stride);
        if (adapter.BiasB is { } bias) AddRow(Values(bias), scale, rows, high, y, stride);
        _meter.Add(StepPart.Adapters, start, 2.0 * rows * r * high);
    }

    // Gradients of A, B and B's bias; leaves du for the input's.
    private void LowRankGradients(FastPass pass, LinearAdapter adapter, float* input, long rows, long wide, float* dy, long stride, long high, float* u, float factor = 1f)
    {
        var scale = (float)adapter.Scale * factor;
        if (adapter.BiasB is { } bias) AddRowSum(pass, bias, scale, rows, dy, stride, high);
        var start = StepMeter.Now;
        long r = adapter.Rank;
        var du = pass.Memory.Floats(BufferId.LowGradient);
        Gemm.Times(rows, r, high, scale, dy, stride, Values(adapter.B), r, 0f, du, r);
        AddUpperGradient(pass.Memory.Floats(BufferId.UpperGradient), Gradients(adapter.B), u, dy, stride, rows, r, high, scale);
        Gemm.TransposedTimes(r, wide, rows, 1f, du, r, input, wide, 1f, Gradients(adapter.A), wide);
        _meter.Add(StepPart.Adapters, start, 2.0 * rows * r * (2 * high + wide));
    }

    // target = beta target + du A
    private void AddLow(FastPass pass, LinearAdapter adapter, long rows, long wide, float* target, float beta)
    {
        var start = StepMeter.Now;
        Gemm.Times(rows, wide, adapter.Rank, 1f, pass.Memory.Floats(BufferId.LowGradient), adapter.Rank, Values(adapter.A), wide, beta, target, wide);
        _meter.Add(StepPart.Adapters, start, 2.0 * rows * adapter.Rank * wide);
    }

    // dx += what lies in the dropped input's room, thinned out by its mask.
    private void AddMasked(FastPass pass, float* dx, long count)
    {
        var start = StepMeter.Now;
        var (from, mask) = ((IntPtr)pass.Memory.Floats(BufferId.Dropped), (IntPtr)pass.Memory.Floats(BufferId.Mask));
        TorchThreads.For(0, count, 1 << 14, (begin, end) => Arithmetic.AddProduct(dx, (float*)from, (float*)mask, dx, begin, end));
        _meter.Add(StepPart.Adapters, start);
    }

    private void AddRowSum(FastPass pass, ParameterEntry bias, float factor, long rows, float* dy, long stride, long high)
    {
        var start = StepMeter.Now;
        Gemm.Times(1, high, rows, factor, pass.Memory.Floats(BufferId.Ones), rows, dy, stride, 1f, Gradients(bias), high);
        _meter.Add(StepPart.Adapters, start);
    }

    private static ProductRoom Room(FastPass pass) => new(pass.Memory, pass.Batch.Tokens, pass.Layout.Threads);

    private static bool Drops(FastPass pass, LinearAdapter adapter) => adapter.Dropout > 0 && pass.Key is not null;

    private static float* Drop(FastPass pass, LinearAdapter adapter, float* x, long rows, long wide)
    {
        DropoutMask.Fill(new Span<float>(pass.Memory.Floats(BufferId.Mask), checked((int)(rows * wide))), pass.Key!.Value, adapter.Index, wide, adapter.Dropout);
        var (target, mask) = ((IntPtr)pass.Memory.Floats(BufferId.Dropped), (IntPtr)pass.Memory.Floats(BufferId.Mask));
        TorchThreads.For(0, rows * wide, 1 << 14, (begin, end) => Arithmetic.Product(x, (float*)mask, (float*)target, begin, end));
        return (float*)target;
    }

    // dB += s dy^T u by way of its transpose: BLAS runs u^T dy at twice the rate of a product that is only r wide.
    private static void AddUpperGradient(float* transposed, float* target, float* u, float* dy, long stride, long rows, long r, long high, float scale)
    {
        Gemm.TransposedTimes(r, high, rows, scale, u, r, dy, stride, 0f, transposed, high);
        TorchThreads.For(0, high, 1 << 10, (begin, end) =>
        {
            for (var j = begin; j < end; j++)
                for (long i = 0; i < r; i++) target[j * r + i] += transposed[i * high + j];
        });
    }

    private static void AddRow(float* row, float factor, long rows, long width, float* y, long stride) => TorchThreads.For(0, rows, 16, (begin, end) =>
    {
        for (var t = begin; t < end; t++) Arithmetic.AddScaled(y + t * stride, row, factor, y + t * stride, 0, width);
    });

    private static void Scale(float* y, long rows, long width, long stride, float factor)
    {
        for (long t = 0; t < rows; t++)
            for (var i = t * stride; i < t * stride + width; i++) y[i] *= factor;
    }

    private float* Values(ParameterEntry entry) => _parameters.ValuePointer + entry.Offset;

    private float* Gradients(ParameterEntry entry) => _parameters.GradientPointer + entry.Offset;
}
