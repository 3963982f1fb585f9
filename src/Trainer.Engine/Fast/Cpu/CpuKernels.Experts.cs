using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Models.Parts;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

internal sealed unsafe partial class CpuKernels
{
    public void Route(Place scores, Place correction, RouterConfig router, int experts, long tokens, Place choice, Place weights)
    {
        float* all = Floats(scores), added = Floats(correction), targets = Floats(weights);
        var chosen = HostMemory.At<int>(choice);
        ComputeThreads.For(0, tokens, RowGrain, (begin, end) =>
        {
            var row = new RouterRow(router, experts);
            for (var t = begin; t < end; t++) row.Choose(all + t * experts, added, chosen + t * router.Chosen, targets + t * router.Chosen);
        });
    }

    public void RouteGradient(Place scores, Place choice, Place shares, Place balance, RouterConfig router, int experts, long tokens)
    {
        float* all = Floats(scores), parts = Floats(shares), added = Floats(balance);
        var chosen = HostMemory.At<int>(choice);
        ComputeThreads.For(0, tokens, RowGrain, (begin, end) =>
        {
            var row = new RouterRow(router, experts);
            for (var t = begin; t < end; t++) row.Gradient(all + t * experts, chosen + t * router.Chosen, parts + t * router.Chosen, added);
        });
    }

    public void Spread(Place source, Place rows, Place slots, Place weights, long count, int width, Place target)
    {
        if (weights.IsNone)
        {
            Gather(source, rows, count, width, target);
            return;
        }
        float* from = Floats(source), each = Floats(weights), to = Floats(target);
        int* tokens = HostMemory.At<int>(rows), places = HostMemory.At<int>(slots);
        ComputeThreads.For(0, count, RowGrain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) ScaleRow(from + tokens[i] * (long)width, each[places[i]], to + i * width, width);
        });
    }

    // The slots of a token are added in their order, by one thread.
    public void Collect(Place source, Place places, Place weights, int chosen, long tokens, int width, Place target)
    {
        float* from = Floats(source), each = Floats(weights), to = Floats(target);
        var rows = HostMemory.At<int>(places);
        ComputeThreads.For(0, tokens, RowGrain, (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                var sum = to + t * width;
                for (var s = t * chosen; s < (t + 1) * chosen; s++)
                {
                    var (row, weight) = ((IntPtr)(from + rows[s] * (long)width), each == null ? 1f : each[s]);
                    if (s == t * chosen) ScaleRow((float*)row, weight, sum, width);
                    else Arithmetic.AddScaled(sum, (float*)row, weight, sum, 0, width);
                }
            }
        });
    }

    public void RowDots(Place a, Place b, Place slots, long count, int width, Place target)
    {
        float* first = Floats(a), second = Floats(b), to = Floats(target);
        var places = HostMemory.At<int>(slots);
        ComputeThreads.For(0, count, RowGrain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) to[places[i]] = Arithmetic.Dot(first + i * width, second + i * width, width);
        });
    }

    public void AddRowDots(Place a, Place b, Place slots, long count, int width, Place target)
    {
        float* first = Floats(a), second = Floats(b), to = Floats(target);
        var places = HostMemory.At<int>(slots);
        ComputeThreads.For(0, count, RowGrain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) to[places[i]] += Arithmetic.Dot(first + i * width, second, width);
        });
    }

    public void GateRows(Place gate, Place x, int width, long rows, Place y, bool add)
    {
        float* gates = Floats(gate), from = Floats(x), to = Floats(y);
        ComputeThreads.For(0, rows, RowGrain, (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                float* row = from + t * width, target = to + t * width;
                if (add) Arithmetic.AddScaled(target, row, Sigmoid(gates[t]), target, 0, width);
                else ScaleRow(row, Sigmoid(gates[t]), target, width);
            }
        });
    }

    public void GateRowsGradient(Place gate, Place x, Place dy, int width, long rows, Place target)
    {
        float* gates = Floats(gate), from = Floats(x), upper = Floats(dy), to = Floats(target);
        ComputeThreads.For(0, rows, RowGrain, (begin, end) =>
        {
            for (var t = begin; t < end; t++)
            {
                var share = Sigmoid(gates[t]);
                to[t] = Arithmetic.Dot(from + t * width, upper + t * width, width) * share * (1f - share);
            }
        });
    }

    public void Pick(Place source, long step, long count, Place target)
    {
        float* from = Floats(source), to = Floats(target);
        ComputeThreads.For(0, count, Grain, (begin, end) =>
        {
            for (var i = begin; i < end; i++) to[i] = from[i * step];
        });
    }

    private static float Sigmoid(float x) => 1f / (1f + Exponential.Of(-x));

    private static void ScaleRow(float* row, float factor, float* target, int width)
    {
        for (var i = 0; i < width; i++) target[i] = factor * row[i];
    }
}
