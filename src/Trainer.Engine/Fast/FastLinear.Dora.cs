using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

// DoRA (arXiv 2402.09353) as PEFT computes it: the row norms are constants of the backward pass, and dropout spares the product that has no adapter.
//
//   z = W x' + s u B^T;  g = m / |W + s B A|;  y = W (x - x') + g z
//   dm += sum_t dy z / |W + s B A|;  dz = g dy, whose gradients are those of a plain adapter
//   dx = dz W + du A, with dropout  dy W + mask ((dz - dy) W + du A)
internal sealed unsafe partial class FastLinear
{
    private float* _written;
    private float* _ratio;
    private float* _sums;
    private float* _scaled;

    /// <summary>Row norms that stay from one pass to the next, as long as adapter values do: decoding would spend most of its time on them. Null computes them anew.</summary>
    public Dictionary<LinearModule, float[]>? HeldNorms { get; set; }

    private void AllocateDora(Arena arena, long tokens)
    {
        var linears = _model.Linears.Where(linear => linear.Adapter?.Magnitude is not null).ToList();
        var high = linears.Select(linear => linear.OutFeatures).DefaultIfEmpty().Max();
        _written = arena.Floats(linears.Select(linear => _panels.Rows(linear.Weight, tokens) * linear.InFeatures).DefaultIfEmpty().Max());
        _ratio = arena.Floats(high);
        _sums = arena.Floats(high);
        _scaled = arena.Floats(tokens * high);
    }

    // z and the norms; x' is x where nothing drops.
    private void KeepWhole(LinearModule linear, LinearAdapter adapter, float* input, long rows, AdapterState kept)
    {
        RowNorms(linear, adapter, kept.Norms);
        Product(linear, input, rows, kept.Whole, linear.OutFeatures, 1f, StepPart.Products);
        Raise(linear, adapter, rows, kept.Low, kept.Whole, linear.OutFeatures);
    }

    private void ForwardDora(LinearModule linear, LinearAdapter adapter, float* x, long rows, float* y, long stride, AdapterState kept)
    {
        var drops = Drops(adapter);
        // With dropout y = W x + (g - 1) z + s u B^T, which is the form above without a second input to hold.
        if (drops) Product(linear, x, rows, y, stride, 1f, StepPart.Products);
        Keep(linear, x, rows, kept);
        var start = StepMeter.Now;
        FillRatio(linear, adapter, kept, drops ? 1f : 0f);
        var (ratio, high) = ((IntPtr)_ratio, linear.OutFeatures);
        TorchThreads.For(0, rows, 16, (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                var row = y + t * stride;
                if (drops) Arithmetic.AddProduct(row, (float*)ratio, kept.Whole + t * high, row, 0, high);
                else Arithmetic.Product((float*)ratio, kept.Whole + t * high, row, 0, high);
            }
        });
        _meter.Add(StepPart.Adapters, start);
        if (drops) Raise(linear, adapter, rows, kept.Low, y, stride);
    }

    private void BackwardDora(LinearModule linear, LinearAdapter adapter, float* x, long rows, float* dy, long stride, float* dx, bool add, AdapterState kept)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        var drops = Drops(adapter);
        MagnitudeGradient(adapter, rows, dy, stride, high, kept);
        FillRatio(linear, adapter, kept, 0f);
        ScaleRows(dy, stride, rows, high);
        if (dx != null) InputGradient(linear, drops ? dy : _scaled, drops ? stride : high, rows, dx, add, 1f, StepPart.Products);
        LowRankGradients(adapter, drops ? Drop(adapter, x, rows, wide) : x, rows, wide, _scaled, high, high, kept.Low);
        if (dx == null) return;
        if (!drops)
        {
            AddLow(adapter, rows, wide, dx, 1f);
            return;
        }
        FillRatio(linear, adapter, kept, 1f);
        ScaleRows(dy, stride, rows, high);
        InputGradient(linear, _scaled, high, rows, _dropped, false, 1f, StepPart.Products);
        AddLow(adapter, rows, wide, _dropped, 1f);
        AddMasked(dx, rows * wide);
    }

    // |W + s B A| of each row, as many rows at a time as the products write out.
    private void RowNorms(LinearModule linear, LinearAdapter adapter, float* norms)
    {
        if (HeldNorms is { } known && known.TryGetValue(linear, out var held))
        {
            held.CopyTo(new Span<float>(norms, held.Length));
            return;
        }
        var start = StepMeter.Now;
        var weight = linear.Weight;
        var (r, wide) = (adapter.Rank, weight.Columns);
        var written = _written;
        foreach (var (at, count) in _panels.Parts(weight, _panels.Rows(weight, _tokens)))
        {
            weight.Materialize(at, count, written);
            Gemm.Times(count, wide, r, (float)adapter.Scale, Values(adapter.B) + at * r, r, Values(adapter.A), wide, 1f, written, wide);
            TorchThreads.For(0, count, 16, (begin, end) =>
            {
                for (var i = begin; i < end; i++) norms[at + i] = MathF.Sqrt(Arithmetic.Dot(written + i * wide, written + i * wide, (int)wide));
            });
        }
        HeldNorms?.Add(linear, new Span<float>(norms, checked((int)weight.Rows)).ToArray());
        _meter.Add(StepPart.Adapters, start, 2.0 * weight.Rows * wide * r);
    }

    // g less a constant.
    private void FillRatio(LinearModule linear, LinearAdapter adapter, AdapterState kept, float less)
    {
        var magnitude = Values(adapter.Magnitude!);
        for (long o = 0; o < linear.OutFeatures; o++) _ratio[o] = magnitude[o] / kept.Norms[o] - less;
    }

    // Columns are split among threads, so each sum has one owner and one order.
    private void MagnitudeGradient(LinearAdapter adapter, long rows, float* dy, long stride, long high, AdapterState kept)
    {
        var start = StepMeter.Now;
        var (target, sums) = ((IntPtr)Gradients(adapter.Magnitude!), (IntPtr)_sums);
        TorchThreads.For(0, high, 256, (begin, end) =>
        {
            new Span<float>((float*)sums + begin, (int)(end - begin)).Clear();
            for (long t = 0; t < rows; t++) Arithmetic.AddProduct((float*)sums, dy + t * stride, kept.Whole + t * high, (float*)sums, begin, end);
            for (var o = begin; o < end; o++) ((float*)target)[o] += ((float*)sums)[o] / kept.Norms[o];
        });
        _meter.Add(StepPart.Adapters, start);
    }

    // The ratio times each row of dy, dense.
    private void ScaleRows(float* dy, long stride, long rows, long high)
    {
        var start = StepMeter.Now;
        var (ratio, scaled) = ((IntPtr)_ratio, (IntPtr)_scaled);
        TorchThreads.For(0, rows, 16, (begin, end) =>
        {
            for (var t = begin; t < end; t++) Arithmetic.Product((float*)ratio, dy + t * stride, (float*)scaled + t * high, 0, high);
        });
        _meter.Add(StepPart.Adapters, start);
    }
}
