using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;
using Trainer.Numerics.Half;

namespace Trainer.Engine.Fast;

/// <summary>Frozen products in bfloat16: both operands are rounded once, libtorch sums in float32 and rounds each panel's result once more.</summary>
/// <remarks>
/// Panels are written out straight in bfloat16, or used in place where the matrix lies so. The input gradient adds its panels up in float32.
/// Relative RMS error about 0.003 a product; no bias, since every rounding is to nearest.
/// </remarks>
internal sealed unsafe class BFloat16Product(StepMeter meter, PanelPlan panels) : IFrozenProduct
{
    private const long Grain = 1 << 14;
    private const int Chunk = 512;
    private ushort* _rows;
    private ushort* _panel;
    private ushort* _result;
    private long _tokens;

    public void Allocate(Arena arena, long tokens, IReadOnlyList<IFrozenWeight> weights)
    {
        _tokens = tokens;
        var widest = weights.Select(weight => Math.Max(weight.Columns, panels.Rows(weight, tokens))).DefaultIfEmpty().Max();
        var room = NarrowGemm.PaddedRows(tokens) * widest;
        _rows = arena.Halves(room);
        _result = arena.Halves(room);
        _panel = arena.Halves(weights.Select(weight => IsStored(weight) ? 0 : panels.Rows(weight, tokens) * weight.Columns).DefaultIfEmpty().Max());
    }

    public void Forward(IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor, StepPart part)
    {
        var wide = weight.Columns;
        var start = StepMeter.Now;
        Narrow(x, wide, rows, wide);
        meter.Add(part, start);
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, _tokens)))
        {
            var panel = Panel(weight, begin, count, part);
            start = StepMeter.Now;
            NarrowGemm.TimesTransposed(rows, count, wide, _rows, panel, _result);
            Widen(rows, count, factor, y + begin, stride, add: false);
            meter.Add(part, start, 2.0 * rows * count * wide);
        }
        GC.KeepAlive(weight);
    }

    public void InputGradient(IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        var wide = weight.Columns;
        foreach (var (begin, count) in panels.Parts(weight, panels.Rows(weight, _tokens)))
        {
            var panel = Panel(weight, begin, count, part);
            var start = StepMeter.Now;
            // A panel meets columns of dy that no other does: each is rounded once.
            Narrow(dy + begin, stride, rows, count);
            NarrowGemm.Times(rows, wide, count, _rows, panel, _result);
            Widen(rows, wide, factor, dx, wide, add || begin > 0);
            meter.Add(part, start, 2.0 * rows * count * wide);
        }
        GC.KeepAlive(weight);
    }

    private static bool IsStored(IFrozenWeight weight) => weight is DenseWeight { Form: "bfloat16" };

    private ushort* Panel(IFrozenWeight weight, long begin, long count, StepPart part)
    {
        if (IsStored(weight)) return (ushort*)TorchMemory.Pointer(((DenseWeight)weight).Stored) + begin * weight.Columns;
        var start = StepMeter.Now;
        weight.MaterializeBFloat16(begin, count, _panel);
        meter.Add(part == StepPart.Loss ? StepPart.Loss : StepPart.Materialize, start);
        return _panel;
    }

    private void Narrow(float* from, long stride, long rows, long width)
    {
        var target = _rows;
        TorchThreads.For(0, rows, Math.Max(1, Grain / width), (first, last) =>
        {
            for (var t = first; t < last; t++) BFloat16Bits.FromFloat(from + t * stride, target + t * width, width);
        });
    }

    private void Widen(long rows, long width, float factor, float* target, long stride, bool add)
    {
        var result = _result;
        TorchThreads.For(0, rows, Math.Max(1, Grain / width), (first, last) =>
        {
            for (var t = first; t < last; t++)
            {
                ushort* from = result + t * width;
                var to = target + t * stride;
                if (!add && factor == 1f)
                {
                    BFloat16Bits.ToFloat(from, to, width);
                    continue;
                }
                if (!add) new Span<float>(to, (int)width).Clear();
                Add(from, factor, to, width);
            }
        });
    }

    private static void Add(ushort* from, float factor, float* to, long count)
    {
        var values = stackalloc float[Chunk];
        for (long at = 0; at < count; at += Chunk)
        {
            var size = Math.Min(Chunk, count - at);
            BFloat16Bits.ToFloat(from + at, values, size);
            Arithmetic.AddScaled(to + at, values, factor, to + at, 0, size);
        }
    }
}
