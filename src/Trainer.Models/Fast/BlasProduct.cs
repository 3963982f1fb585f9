using Trainer.Models.Native;
using Trainer.Numerics.Half;

namespace Trainer.Models.Fast;

/// <summary>Frozen products in float32 by BLAS, for processors that <see cref="TiledProduct"/> is not for: W is written out in panels of rows into one scratch, in both directions, and never kept; a matrix that lies in float32 is used in place.</summary>
internal sealed unsafe class BlasProduct(StepMeter meter, PanelPlan panels) : IFrozenProduct
{
    private float* _panel;
    private long _tokens;

    public void Allocate(Arena arena, long tokens, IReadOnlyList<IFrozenWeight> weights)
    {
        _tokens = tokens;
        _panel = arena.Floats(weights.Select(weight => weight.Resident is null ? panels.Rows(weight, tokens) * weight.Columns : 0).DefaultIfEmpty().Max());
    }

    public void Forward(IFrozenWeight weight, float* x, long rows, float* y, long stride, float factor, StepPart part)
    {
        var wide = weight.Columns;
        Panels(weight, part, (begin, count, panel) =>
        {
            var start = StepMeter.Now;
            Gemm.TimesTransposed(rows, count, wide, factor, x, wide, panel, wide, 0f, y + begin, stride);
            meter.Add(part, start, 2.0 * rows * count * wide);
        });
    }

    public void InputGradient(IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        var wide = weight.Columns;
        Panels(weight, part, (begin, count, panel) =>
        {
            var start = StepMeter.Now;
            Gemm.Times(rows, wide, count, factor, dy + begin, stride, panel, wide, add || begin > 0 ? 1f : 0f, dx, wide);
            meter.Add(part, start, 2.0 * rows * count * wide);
        });
    }

    private delegate void Visit(long begin, long count, float* panel);

    private void Panels(IFrozenWeight weight, StepPart part, Visit visit)
    {
        if (weight.Resident is { } resident)
        {
            visit(0, weight.Rows, TorchMemory.Pointer(resident));
            return;
        }
        var rows = panels.Rows(weight, _tokens);
        for (long begin = 0; begin < weight.Rows; begin += rows)
        {
            var count = Math.Min(rows, weight.Rows - begin);
            var start = StepMeter.Now;
            panels.Enter(weight, begin, count);
            WriteOut(weight, begin, count);
            meter.Add(part == StepPart.Loss ? StepPart.Loss : StepPart.Materialize, start);
            visit(begin, count, _panel);
        }
    }

    private void WriteOut(IFrozenWeight weight, long begin, long count)
    {
        var target = _panel;
        if (weight is DenseWeight { Form: "bfloat16" } dense)
        {
            var from = (ushort*)TorchMemory.Pointer(dense.Stored) + begin * weight.Columns;
            TorchThreads.For(0, count * weight.Columns, 1 << 16, (first, last) => BFloat16Bits.ToFloat(from + first, target + first, last - first));
            return;
        }
        weight.Materialize(begin, count, target);
    }
}
