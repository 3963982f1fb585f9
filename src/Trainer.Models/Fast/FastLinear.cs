using System.Runtime.InteropServices;
using Trainer.Models.Native;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Half;

namespace Trainer.Models.Fast;

/// <summary>One linear layer by hand: frozen product and low-rank update forward, and both gradients straight into the flat buffer.</summary>
/// <remarks>
/// <code>
/// y = x W^T + s (x' A^T) B^T + bias           x' = x with dropped elements, u = x' A^T is kept
/// dx = dy W + mask (du A),  du = s dy B;  dB += s dy^T u;  dA += du^T x'
/// </code>
/// W is written out in panels of rows into one scratch, in both directions; the weight itself is never kept in float32.
/// </remarks>
internal sealed unsafe class FastLinear(CausalModel model, StepMeter meter, long panelFloats = FastLinear.PanelFloats)
{
    // Measured at 512 tokens: panels of 4 MiB run at 0.95 of the product ceiling, of 16 MiB at 0.93, whole matrices at 0.90.
    // A panel needs some hundred rows where x is long, since the BLAS packs x anew for each.
    internal const long PanelFloats = 1 << 20;
    private const long ShortBatch = 128;
    private const long LeastPanelRows = 512;
    private const long LeastPanelRowsOfShortBatch = 128;
    private readonly ParameterBuffer _parameters = model.Parameters;
    private float* _panel;
    private long _tokens;
    private float* _low;
    private float* _upper;
    private float* _ones;
    private float* _dropped;
    private float* _mask;

    /// <summary>Seeds the masks of this pass; null computes without dropout.</summary>
    public StepKey? Key { get; set; }

    /// <summary>Told of each panel of a head that does not stay in memory.</summary>
    public HeadPages? HeadPages { get; set; }

    /// <summary>Cuts the scratch for T rows.</summary>
    public void Allocate(Arena arena, long tokens)
    {
        _tokens = tokens;
        var linears = model.Linears.Append(model.Head).ToList();
        _panel = arena.Floats(linears.Max(linear => linear.Weight.Resident is null ? PanelRows(linear.Weight) * linear.Weight.Columns : 0));
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
        var on = model.AdaptersEnabled;
        if (on && linear.Adapter is { } adapter)
        {
            var start = StepMeter.Now;
            float* a = Values(adapter.A), b = Values(adapter.B);
            long r = adapter.Rank, wide = linear.InFeatures, high = linear.OutFeatures;
            var input = Drops(adapter) ? Drop(adapter, x, rows, wide) : x;
            Gemm.TimesTransposed(rows, r, wide, 1f, input, wide, a, wide, 0f, u, r);
            Gemm.TimesTransposed(rows, high, r, (float)adapter.Scale, u, r, b, r, 1f, y, stride);
            if (adapter.BiasB is { } biasB) AddRow(Values(biasB), (float)adapter.Scale, rows, high, y, stride);
            meter.Add(StepPart.Adapters, start, 2.0 * rows * r * (wide + high));
        }
        if (on && linear.TrainedBias is { } trained) AddRow(Values(trained), 1f, rows, linear.OutFeatures, y, stride);
        else if (linear.Bias is { } bias) AddRow(TorchMemory.Pointer(bias), 1f, rows, linear.OutFeatures, y, stride);
    }

    /// <summary>u = x' A^T alone: what the backward pass of a product needs whose output nobody reads.</summary>
    public void Low(LinearModule linear, float* x, long rows, float* u)
    {
        if (!model.AdaptersEnabled || linear.Adapter is not { } adapter) return;
        var start = StepMeter.Now;
        var (r, wide) = (adapter.Rank, linear.InFeatures);
        Gemm.TimesTransposed(rows, r, wide, 1f, Drops(adapter) ? Drop(adapter, x, rows, wide) : x, wide, Values(adapter.A), wide, 0f, u, r);
        meter.Add(StepPart.Adapters, start, 2.0 * rows * r * wide);
    }

    /// <summary>Adds the parameters' gradients and, where <paramref name="dx"/> is given, writes or adds the input's.</summary>
    public void Backward(LinearModule linear, float* x, long rows, float* dy, long stride, float* dx, bool add, float* u)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        if (dx != null) InputGradient(linear, dy, stride, rows, dx, add, 1f, StepPart.Products);
        if (!model.AdaptersEnabled) return;
        if (linear.TrainedWeight is { } weight) WeightGradient(weight, x, rows, dy, stride, 1f, StepPart.Products);
        var start = StepMeter.Now;
        if (linear.TrainedBias is { } bias) Gemm.Times(1, high, rows, 1f, _ones, rows, dy, stride, 1f, Gradients(bias), high);
        if (linear.Adapter is not { } adapter)
        {
            meter.Add(StepPart.Adapters, start);
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
        meter.Add(StepPart.Adapters, start, 2.0 * rows * r * (2 * high + (dx == null ? 1 : 2) * wide));
    }

    /// <summary>y = factor x W^T without adapter or bias.</summary>
    public void Product(LinearModule linear, float* x, long rows, float* y, long stride, float factor, StepPart part)
    {
        long wide = linear.InFeatures;
        if (FewRows.Takes(linear.Weight, rows) && !(model.AdaptersEnabled && linear.TrainedWeight is not null))
        {
            var begun = StepMeter.Now;
            FewRows.Product(linear.Weight, x, rows, y, stride);
            if (factor != 1f) Scale(y, rows, linear.OutFeatures, stride, factor);
            meter.Add(part, begun, 2.0 * rows * wide * linear.OutFeatures);
            return;
        }
        Panels(linear, part, (begin, count, panel) =>
        {
            var start = StepMeter.Now;
            Gemm.TimesTransposed(rows, count, wide, factor, x, wide, panel, wide, 0f, y + begin, stride);
            meter.Add(part, start, 2.0 * rows * count * wide);
        });
    }

    /// <summary>dx = factor dy W, or that added.</summary>
    public void InputGradient(LinearModule linear, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        long wide = linear.InFeatures;
        Panels(linear, part, (begin, count, panel) =>
        {
            var start = StepMeter.Now;
            Gemm.Times(rows, wide, count, factor, dy + begin, stride, panel, wide, add || begin > 0 ? 1f : 0f, dx, wide);
            meter.Add(part, start, 2.0 * rows * count * wide);
        });
    }

    /// <summary>dW += factor dy^T x of a matrix trained whole.</summary>
    public void WeightGradient(ParameterEntry weight, float* x, long rows, float* dy, long stride, float factor, StepPart part)
    {
        var start = StepMeter.Now;
        var (high, wide) = (weight.Shape[0], weight.Shape[1]);
        Gemm.TransposedTimes(high, wide, rows, factor, dy, stride, x, wide, 1f, Gradients(weight), wide);
        meter.Add(part, start, 2.0 * rows * high * wide);
    }

    private delegate void Visit(long begin, long count, float* panel);

    private void Panels(LinearModule linear, StepPart part, Visit visit)
    {
        if (model.AdaptersEnabled && linear.TrainedWeight is { } trained)
        {
            visit(0, linear.OutFeatures, Values(trained));
            return;
        }
        var weight = linear.Weight;
        if (weight.Resident is { } resident)
        {
            visit(0, weight.Rows, TorchMemory.Pointer(resident));
            return;
        }
        var rows = PanelRows(weight);
        for (long begin = 0; begin < weight.Rows; begin += rows)
        {
            var count = Math.Min(rows, weight.Rows - begin);
            var start = StepMeter.Now;
            WriteOut(weight, begin, count);
            meter.Add(part == StepPart.Loss ? StepPart.Loss : StepPart.Materialize, start);
            visit(begin, count, _panel);
        }
    }

    private void WriteOut(IFrozenWeight weight, long begin, long count)
    {
        var target = _panel;
        if (ReferenceEquals(weight, model.Head.Weight)) HeadPages?.Enter(begin, count);
        if (weight is DenseWeight { Form: "bfloat16" } dense)
        {
            var from = (ushort*)TorchMemory.Pointer(dense.Stored) + begin * weight.Columns;
            TorchThreads.For(0, count * weight.Columns, 1 << 16, (first, last) => BFloat16Bits.ToFloat(from + first, target + first, last - first));
            return;
        }
        weight.Materialize(begin, count, target);
    }

    // A multiple of 64 rows, so that a panel starts at a block of any 4-bit matrix.
    private long PanelRows(IFrozenWeight weight)
    {
        var least = _tokens <= ShortBatch ? LeastPanelRowsOfShortBatch : LeastPanelRows;
        return Math.Min(weight.Rows, Math.Max(least, panelFloats / weight.Columns / 64 * 64));
    }

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
