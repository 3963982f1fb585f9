using Trainer.Engine.Native;

namespace Trainer.Engine.Fast;

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
        foreach (var (begin, count) in Parts(weight))
        {
            var panel = Panel(weight, begin, count, part);
            var start = StepMeter.Now;
            Gemm.TimesTransposed(rows, count, wide, factor, x, wide, panel, wide, 0f, y + begin, stride);
            meter.Add(part, start, 2.0 * rows * count * wide);
        }
    }

    public void InputGradient(IFrozenWeight weight, float* dy, long stride, long rows, float* dx, bool add, float factor, StepPart part)
    {
        var wide = weight.Columns;
        foreach (var (begin, count) in Parts(weight))
        {
            var panel = Panel(weight, begin, count, part);
            var start = StepMeter.Now;
            Gemm.Times(rows, wide, count, factor, dy + begin, stride, panel, wide, add || begin > 0 ? 1f : 0f, dx, wide);
            meter.Add(part, start, 2.0 * rows * count * wide);
        }
    }

    private IEnumerable<(long Begin, long Count)> Parts(IFrozenWeight weight) => panels.Parts(weight, weight.Resident is null ? panels.Rows(weight, _tokens) : weight.Rows);

    private float* Panel(IFrozenWeight weight, long begin, long count, StepPart part)
    {
        if (weight.Resident is { } resident) return TorchMemory.Pointer(resident) + begin * weight.Columns;
        var start = StepMeter.Now;
        weight.Materialize(begin, count, _panel);
        meter.Add(part == StepPart.Loss ? StepPart.Loss : StepPart.Materialize, start);
        return _panel;
    }
}
