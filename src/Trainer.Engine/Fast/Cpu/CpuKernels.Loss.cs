using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;
using LossRows = Trainer.Numerics.Elementwise.CrossEntropy;

namespace Trainer.Engine.Fast.Cpu;

internal sealed unsafe partial class CpuKernels
{
    public void CapLogits(Place logits, long rows)
    {
        if (_shape.LogitCap is not { } cap) return;
        var values = Floats(logits);
        ComputeThreads.For(0, rows, 1, (begin, end) =>
        {
            for (var t = begin; t < end; t++) SoftCap.Forward(values + t * _shape.Vocabulary, null, _shape.Vocabulary, cap);
        });
    }

    public void CrossEntropy(PassMemory room, Place logits, long rows, Place targets, Place factors, Place losses, double? scale, double smoothing, Place means)
    {
        float* all = Floats(logits), slopesOfAll = Floats(room.FloatsOrNone(BufferId.LogitSlopes)), weights = Floats(factors);
        var ids = HostMemory.At<int>(targets);
        double* sums = HostMemory.At<double>(losses), averages = means.IsNone ? null : HostMemory.At<double>(means);
        ComputeThreads.For(0, rows, 1, (slot, begin, end) =>
        {
            var slopes = slopesOfAll + (long)slot * _shape.Vocabulary;
            for (var i = begin; i < end; i++)
            {
                var row = all + i * _shape.Vocabulary;
                if (_shape.LogitCap is { } cap) SoftCap.Forward(row, scale is null ? null : slopes, _shape.Vocabulary, cap);
                var factor = (float)(weights[i] * (scale ?? 0));
                if (averages != null) averages[i] = Mean(row);
                var above = smoothing == 0 ? 0 : row[ids[i]] - Mean(row);
                LossRows.Rows(row, _shape.Vocabulary, ids + i, scale is null ? null : &factor, sums + i, 0, 1);
                if (smoothing != 0) Smooth(row, ids[i], (float)(factor * smoothing), sums + i, smoothing * above);
                if (_shape.LogitCap is not null && scale is not null) Arithmetic.Product(slopes, row, row, 0, _shape.Vocabulary);
            }
        });
    }

    // (1 - e) (-log p_y) + e mean_v(-log p_v) = -log p_y + e (x_y - mean x); its slope differs by e at the target and -e / V everywhere.
    private void Smooth(float* row, int target, float factor, double* loss, double more)
    {
        *loss += more;
        row[target] += factor;
        var each = factor / _shape.Vocabulary;
        for (var v = 0; v < _shape.Vocabulary; v++) row[v] -= each;
    }

    private double Mean(float* row)
    {
        double sum = 0;
        for (var v = 0; v < _shape.Vocabulary; v++) sum += row[v];
        return sum / _shape.Vocabulary;
    }
}
