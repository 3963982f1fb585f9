using Trainer.Models.Parts;

namespace Trainer.Engine.Fast.Operations;

internal sealed partial class MeteredKernels
{
    public void Route(Place scores, Place correction, RouterConfig router, int experts, long tokens, Place choice, Place weights)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Route(scores, correction, router, experts, tokens, choice, weights);
    }

    public void RouteGradient(Place scores, Place choice, Place shares, Place balance, RouterConfig router, int experts, long tokens)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.RouteGradient(scores, choice, shares, balance, router, experts, tokens);
    }

    public void Spread(Place source, Place rows, Place slots, Place weights, long count, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Spread(source, rows, slots, weights, count, width, target);
    }

    public void Collect(Place source, Place places, Place weights, int chosen, long tokens, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.Collect(source, places, weights, chosen, tokens, width, target);
    }

    public void RowDots(Place a, Place b, Place slots, long count, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.RowDots(a, b, slots, count, width, target);
    }

    public void AddRowDots(Place a, Place b, Place slots, long count, int width, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.AddRowDots(a, b, slots, count, width, target);
    }

    public void GateRows(Place gate, Place x, int width, long rows, Place y, bool add)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.GateRows(gate, x, width, rows, y, add);
    }

    public void GateRowsGradient(Place gate, Place x, Place dy, int width, long rows, Place target)
    {
        using var time = meter.Measure(StepPart.Elementwise);
        inner.GateRowsGradient(gate, x, dy, width, rows, target);
    }

    public void Pick(Place source, long step, long count, Place target)
    {
        using var time = meter.Measure(StepPart.Adapters);
        inner.Pick(source, step, count, target);
    }
}
