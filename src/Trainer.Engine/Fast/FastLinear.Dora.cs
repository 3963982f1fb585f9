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
    // z and the norms; x' is x where nothing drops.
    private void KeepWhole(FastPass pass, LinearModule linear, LinearAdapter adapter, float* input, long rows, AdapterState kept)
    {
        RowNorms(pass, linear, adapter, kept.Norms);
        Product(pass, linear, input, rows, kept.Whole, linear.OutFeatures, 1f, StepPart.Products);
        Raise(linear, adapter, rows, kept.Low, kept.Whole, linear.OutFeatures);
    }

    private void ForwardDora(FastPass pass, LinearModule linear, LinearAdapter adapter, float* x, long rows, float* y, long stride, AdapterState kept)
    {
        var drops = Drops(pass, adapter);
        // With dropout y = W x + (g - 1) z + s u B^T, which is the form above without a second input to hold.
        if (drops) Product(pass, linear, x, rows, y, stride, 1f, StepPart.Products);
        Keep(pass, linear, x, rows, kept);
        var start = StepMeter.Now;
        FillRatio(pass, linear, adapter, kept, drops ? 1f : 0f);
        var (ratio, high) = ((IntPtr)pass.Memory.Floats(BufferId.Ratio), linear.OutFeatures);
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

    private void BackwardDora(FastPass pass, LinearModule linear, LinearAdapter adapter, float* x, long rows, float* dy, long stride, float* dx, bool add, AdapterState kept)
    {
        long wide = linear.InFeatures, high = linear.OutFeatures;
        var (drops, scaled, dropped) = (Drops(pass, adapter), (IntPtr)pass.Memory.Floats(BufferId.ScaledGradient), (IntPtr)pass.Memory.FloatsOrNull(BufferId.Dropped));
        MagnitudeGradient(pass, adapter, rows, dy, stride, high, kept);
        FillRatio(pass, linear, adapter, kept, 0f);
        ScaleRows(pass, dy, stride, rows, high);
        if (dx != null) InputGradient(pass, linear, drops ? dy : (float*)scaled, drops ? stride : high, rows, dx, add, 1f, StepPart.Products);
        LowRankGradients(pass, adapter, drops ? Drop(pass, adapter, x, rows, wide) : x, rows, wide, (float*)scaled, high, high, kept.Low);
        if (dx == null) return;
        if (!drops)
        {
            AddLow(pass, adapter, rows, wide, dx, 1f);
            return;
        }
        FillRatio(pass, linear, adapter, kept, 1f);
        ScaleRows(pass, dy, stride, rows, high);
        InputGradient(pass, linear, (float*)scaled, high, rows, (float*)dropped, false, 1f, StepPart.Products);
        AddLow(pass, adapter, rows, wide, (float*)dropped, 1f);
        AddMasked(pass, dx, rows * wide);
    }

    // |W + s B A| of each row, as many rows at a time as the products write out.
    private void RowNorms(FastPass pass, LinearModule linear, LinearAdapter adapter, float* norms)
    {
        if (pass.Past?.RowNorms is { } known && known.TryGetValue(linear, out var held))
        {
            held.CopyTo(new Span<float>(norms, held.Length));
            return;
        }
        var start = StepMeter.Now;
        var weight = linear.Weight;
        var (r, wide) = (adapter.Rank, weight.Columns);
        var written = pass.Memory.Floats(BufferId.WrittenRows);
        foreach (var (at, count) in _panels.Parts(weight, _panels.Rows(weight, pass.Batch.Tokens)))
        {
            weight.Materialize(at, count, written);
            Gemm.Times(count, wide, r, (float)adapter.Scale, Values(adapter.B) + at * r, r, Values(adapter.A), wide, 1f, written, wide);
            TorchThreads.For(0, count, 16, (begin, end) =>
            {
                for (var i = begin; i < end; i++) norms[at + i] = MathF.Sqrt(Arithmetic.Dot(written + i * wide, written + i * wide, (int)wide));
            });
        }
        pass.Past?.RowNorms.Add(linear, new Span<float>(norms, checked((int)weight.Rows)).ToArray());
        _meter.Add(StepPart.Adapters, start, 2.0 * weight.Rows * wide * r);
    }

    // g less a constant.
    private void FillRatio(FastPass pass, LinearModule linear, LinearAdapter adapter, AdapterState kept, float less)
    {
        float* magnitude = Values(adapter.Magnitude!), ratio = pass.Memory.Floats(BufferId.Ratio);
        for (long o = 0; o < linear.OutFeatures; o++) ratio[o] = magnitude[o] / kept.Norms[o] - less;
    }

    // Columns are split among threads, so each sum has one owner and one order.
    private void MagnitudeGradient(FastPass pass, LinearAdapter adapter, long rows, float* dy, long stride, long high, AdapterState kept)
    {
        var start = StepMeter.Now;
        var (target, sums) = ((IntPtr)Gradients(adapter.Magnitude!), (IntPtr)pass.Memory.Floats(BufferId.RatioSums));
        TorchThreads.For(0, high, 256, (begin, end) =>
        {
            new Span<float>((float*)sums + begin, (int)(end - begin)).Clear();
            for (long t = 0; t < rows; t++) Arithmetic.AddProduct((float*)sums, dy + t * stride, kept.Whole + t * high, (float*)sums, begin, end);
            for (var o = begin; o < end; o++) ((float*)target)[o] += ((float*)sums)[o] / kept.Norms[o];
        });
        _meter.Add(StepPart.Adapters, start);
    }

    // The ratio times each row of dy, dense.
    private void ScaleRows(FastPass pass, float* dy, long stride, long rows, long high)
    {
        var start = StepMeter.Now;
        var (ratio, scaled) = ((IntPtr)pass.Memory.Floats(BufferId.Ratio), (IntPtr)pass.Memory.Floats(BufferId.ScaledGradient));
        TorchThreads.For(0, rows, 16, (begin, end) =>
        {
            for (var t = begin; t < end; t++) Arithmetic.Product((float*)ratio, dy + t * stride, (float*)scaled + t * high, 0, high);
        });
        _meter.Add(StepPart.Adapters, start);
    }
}
