using System.Runtime.InteropServices;
using Trainer.Models.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Models.Fast;

/// <summary>One linear layer by hand: frozen product and low-rank update forward, and both gradients straight into the flat buffer.</summary>
/// <remarks>
/// <code>
/// y = x W^T + s (x' A^T) B^T + bias           x' = x with dropped elements, u = x' A^T is kept
/// dx = dy W + mask (du A),  du = s dy B;  dB += s dy^T u;  dA += du^T x'
/// </code>
/// The frozen products are an <see cref="IFrozenProduct"/>'s, in the compute type asked for; adapters, biases and logits are float32 in any.
/// </remarks>
internal sealed unsafe class FastLinear
{
    private readonly CausalModel _model;
    private readonly StepMeter _meter;
    private readonly ParameterBuffer _parameters;
    private readonly Float32Product _exact;
    private readonly IFrozenProduct _products;
    private readonly IFrozenProduct _headGradient;
    private float* _low;
    private float* _upper;
    private float* _ones;
    private float* _dropped;
    private float* _mask;

    public FastLinear(CausalModel model, StepMeter meter, PanelPlan panels)
    {
        (_model, _meter, _parameters) = (model, meter, model.Parameters);
        _exact = new Float32Product(meter, panels);
        _products = model.Options.Compute switch
        {
            ComputeKind.BFloat16 => new BFloat16Product(meter, panels),
            ComputeKind.Int8 => new Int8Product(meter, panels),
            _ => _exact,
        };
        _headGradient = model.Options.Compute == ComputeKind.BFloat16 ? _products : _exact;
    }

    /// <summary>Seeds the masks of this pass; null computes without dropout.</summary>
    public StepKey? Key { get; set; }

    /// <summary>Cuts the scratch for T rows.</summary>
    public void Allocate(Arena arena, long tokens)
    {
        var linears = _model.Linears.Append(_model.Head).ToList();
        var layers = _model.Linears.Select(linear => linear.Weight).ToList();
        var head = _model.Head.Weight;
        _exact.Allocate(arena, tokens, _products == _exact ? [.. layers, head] : [head]);
        if (_products != _exact) _products.Allocate(arena, tokens, _headGradient == _products ? [.. layers, head] : layers);
        var rank = linears.Max(linear => linear.Adapter?.Rank ?? 0);
        _low = arena.Floats(tokens * rank);
        _upper = arena.Floats(rank * linears.Max(linear => linear.Adapter is null ? 0 : linear.OutFeatures));
        _ones = arena.Floats(tokens);
        var widest = linears.Max(linear => linear.Adapter is { Dropout: > 0 } ? linear.InFeatures : 0);
        _dropped = arena.Floats(tokens * widest);
        _mask = arena.Floats(tokens * widest);
        if (_ones != null) new Span<float>(_ones, checked((int)tokens)).Fill(1f);
    }

    /// <summary>y (rows, out) in rows of <paramref name="stride"/> floats from x (rows, in), dense.</summary>
    public void Forward(LinearModule linear, float* x, long rows, float* y, long stride, float* u)
    {
        Product(linear, x, rows, y, stride, 1f, StepPart.Products);
        var on = _model.AdaptersEnabled;
        if (on && linear.Adapter is { } adapter)
        {
            var start = StepMeter.Now;
            float* a = Values(adapter.A), b = Values(adapter.B);
            long r = adapter.Rank, wide = linear.InFeatures, high = linear.OutFeatures;
            var input = Drops(adapter) ? Drop(adapter, x, rows, wide) : x;
            Gemm.TimesTransposed(rows, r, wide, 1f, input, wide, a, wide, 0f, u, r);
            Gemm.TimesTransposed(rows, high, r, (float)adapter.Scale, u, r, b, r, 1f, y, stride);
            if (adapter.BiasB is { } biasB) AddRow(Values(biasB), (float)adapter.Scale, rows, high, y, stride);
            _meter.Add(StepPart.Adapters, start, 2.0 * rows * r * (wide + high));
        }
        if (on && linear.TrainedBias is { } trained) AddRow(Values(trained), 1f, rows, linear.OutFeatures, y, stride);
        else if (linear.Bias is { } bias) AddRow(TorchMemory.Pointer(bias), 1f, rows, linear.OutFeatures, y, stride);
    }

    /// <summary>u = x' A^T alone: what the backward pass of a product needs whose output nobody reads.</summary>
    public void Low(LinearModule linear, float* x, long rows, float* u)
    {
        if (!_model.AdaptersEnabled || linear.Adapter is not { } adapter) return;
        var start = StepMeter.Now;
        var (r, wide) = (adapter.Rank, linear.InFeatures);
        Gemm.TimesTransposed(rows, r, wide, 1f, Drops(adapter) ? Drop(adapter, x, rows, wide) : x, wide, Values(adapter.A), wide, 0f, u, r);
        _meter.Add(StepPart.Adapters, start, 2.0 * rows * r * wide);
    }

    /// <summary>Adds the parameters' gradients and, where <paramref name="dx"/> is given, writes or adds the input's.</summary>
    public void Backward(LinearModule linear, float* x, long rows, float* dy, long stride, float* dx, bool add, float* u)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (dx != null) InputGradient(linear, dy, stride, rows, dx, add, 1f, StepPart.Products);
        if (!_model.AdaptersEnabled) return;
        if (linear.TrainedWeight is { } weight) WeightGradient(weight, x, rows, dy, stride, 1f, StepPart.Products);
        var start = StepMeter.Now;
        if (linear.TrainedBias is { } bias) Gemm.Times(1, high, rows, 1f, _ones, rows, dy, stride, 1f, Gradients(bias), high);
        if (linear.Adapter is not { } adapter)
        {
            _meter.Add(StepPart.Adapters, start);
            return;
        }
        long r = adapter.Rank;
        var scale = (float)adapter.Scale;
        if (adapter.BiasB is { } biasB) Gemm.Times(1, high, rows, scale, _ones, rows, dy, stride, 1f, Gradients(biasB), high);
        var du = _low;
        Gemm.Times(rows, r, high, scale, dy, stride, Values(adapter.B), r, 0f, du, r);
        AddUpperGradient(Gradients(adapter.B), u, dy, stride, rows, r, high, scale);
        var drops = Drops(adapter);
        var input = drops ? Drop(adapter, x, rows, wide) : x;
        Gemm.TransposedTimes(r, wide, rows, 1f, du, r, input, wide, 1f, Gradients(adapter.A), wide);
        if (dx != null && !drops) Gemm.Times(rows, wide, r, 1f, du, r, Values(adapter.A), wide, 1f, dx, wide);
        if (dx != null && drops)
        {
            // The dropped input is used up: its room takes du A, which the same mask thins out.
            Gemm.Times(rows, wide, r, 1f, du, r, Values(adapter.A), wide, 0f, _dropped, wide);
            var (from, mask) = ((IntPtr)_dropped, (IntPtr)_mask);
            TorchThreads.For(0, rows * wide, 1 << 14, (begin, end) => Arithmetic.AddProduct(dx, (float*)from, (float*)mask, dx, begin, end));
        }
        _meter.Add(StepPart.Adapters, start, 2.0 * rows * r * (2 * high + (dx == null ? 1 : 2) * wide));
    }

    /// <summary>y = factor x W^T without adapter or bias.</summary>
    public void Product(LinearModule linear, float* x, long rows, float* y, long stride, float factor, StepPart part)
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
            (linear == _model.Head ? _exact : _products).Forward(linear.Weight, x, rows, y, stride, factor, part);
            return;
        }
        _meter.Add(part, start, 2.0 * rows * high * wide);
    }

    /// <summary>dx = factor dy W, or that added.</summary>
    public void InputGradient(LinearModule linear, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        if (Trained(linear) is not { } weight)
        {
            (linear == _model.Head ? _headGradient : _products).InputGradient(linear.Weight, dy, stride, rows, dx, add, factor, part);
            return;
        }
        var start = StepMeter.Now;
        long wide = linear.InFeatures, high = linear.OutFeatures;
        Gemm.Times(rows, wide, high, factor, dy, stride, Values(weight), wide, add ? 1f : 0f, dx, wide);
        _meter.Add(part, start, 2.0 * rows * high * wide);
    }

    /// <summary>dW += factor dy^T x of a matrix trained whole.</summary>
    public void WeightGradient(ParameterEntry weight, float* x, long rows, float* dy, long stride, float factor, StepPart part)
    {
        var start = StepMeter.Now;
        var (high, wide) = (weight.Shape[0], weight.Shape[1]);
        Gemm.TransposedTimes(high, wide, rows, factor, dy, stride, x, wide, 1f, Gradients(weight), wide);
        _meter.Add(part, start, 2.0 * rows * high * wide);
    }

    private ParameterEntry? Trained(LinearModule linear) => _model.AdaptersEnabled ? linear.TrainedWeight : null;

    private bool Drops(LinearAdapter adapter) => adapter.Dropout > 0 && Key is not null;

    private float* Drop(LinearAdapter adapter, float* x, long rows, long wide)
    {
        DropoutMask.Fill(new Span<float>(_mask, checked((int)(rows * wide))), Key!.Value, adapter.Index, adapter.Dropout);
        var (target, mask) = ((IntPtr)_dropped, (IntPtr)_mask);
        NativeMemory.Clear(_dropped, (nuint)(rows * wide) * sizeof(float));
        TorchThreads.For(0, rows * wide, 1 << 14, (begin, end) => Arithmetic.AddProduct((float*)target, x, (float*)mask, (float*)target, begin, end));
        return _dropped;
    }

    // dB += s dy^T u by way of its transpose: BLAS runs u^T dy at twice the rate of a product that is only r wide.
    private void AddUpperGradient(float* target, float* u, float* dy, long stride, long rows, long r, long high, float scale)
    {
        var transposed = _upper;
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
