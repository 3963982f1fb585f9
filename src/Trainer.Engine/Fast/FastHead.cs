using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

/// <summary>Final norm, head and cross entropy of the rows that carry loss, a chunk at a time: logits never exist whole, loss and gradient come in one pass.</summary>
internal sealed unsafe class FastHead(CausalModel model, FastShape shape, FastLinear linear, FastNorm norms, StepMeter meter)
{
    // 128 MiB of logits: large enough that writing the head's matrix out for each chunk stays a few percent of its products.
    private const long ChunkFloats = 32 << 20;
    private float* _logits;
    private float* _normed;
    private float* _slopes;
    private AdapterState _kept;
    private long _chunk;

    /// <summary>Cuts the logits of one chunk, and a row of slopes a thread where logits are capped.</summary>
    /// <param name="arena">Where from.</param>
    /// <param name="tokens">T, for logits of all rows.</param>
    /// <param name="lossRows">Rows that carry loss.</param>
    public void Allocate(Arena arena, long tokens, long lossRows)
    {
        _chunk = Math.Min(lossRows, Math.Max(64, ChunkFloats / shape.Vocabulary));
        _logits = arena.Floats(_chunk * shape.Vocabulary);
        _normed = arena.Floats(lossRows * shape.Hidden);
        _slopes = arena.Floats(shape.LogitCap is null ? 0 : (long)shape.Vocabulary * torch.get_num_threads());
        _kept = new AdapterState(arena, tokens, new AdapterSize(model.Head.Adapter?.Rank ?? 0, 0));
    }

    /// <summary>Losses of all rows into the batch; the gradient of their weighted sum times <paramref name="lossScale"/> into <see cref="FastBuffers.RowGradient"/>.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="buffers">Its memory; <see cref="FastBuffers.RowInverse"/> is used.</param>
    /// <param name="hidden">The stack's output at the loss rows (rows, hidden).</param>
    /// <param name="lossScale">Multiplier of the gradient, or null for losses alone.</param>
    /// <param name="needsInput">Whether anything below the head is trained.</param>
    /// <returns>Weighted sum of losses.</returns>
    public double Run(FastBatch batch, FastBuffers buffers, float* hidden, double? lossScale, bool needsInput)
    {
        var begun = StepMeter.Now;
        long rows = batch.LossCount;
        float* normed = _normed, inverse = buffers.RowInverse, gradient = buffers.RowGradient;
        needsInput |= norms.Trains(model.FinalNorm);
        norms.Forward(model.FinalNorm, hidden, normed, inverse, shape.Hidden, rows);
        meter.Add(StepPart.Loss, begun);
        if (lossScale is not null && batch.Batch.Weigh is { } weigh) Weigh(batch, normed, weigh);
        var key = linear.Key;
        for (long first = 0; first < rows; first += _chunk)
        {
            linear.Key = key is { } step ? step with { FirstRow = first } : null;
            var count = Math.Min(_chunk, rows - first);
            var x = normed + first * shape.Hidden;
            linear.Forward(model.Head, x, count, _logits, shape.Vocabulary, _kept, shape.LogitMultiplier, StepPart.Loss);
            begun = StepMeter.Now;
            CrossEntropyRows(batch, first, count, lossScale);
            meter.Add(StepPart.Loss, begun);
            if (lossScale is null) continue;
            var dx = needsInput ? gradient + first * shape.Hidden : null;
            linear.Backward(model.Head, x, count, _logits, shape.Vocabulary, dx, false, _kept, shape.LogitMultiplier, StepPart.Loss);
        }
        linear.Key = key;
        begun = StepMeter.Now;
        if (lossScale is not null && needsInput) norms.Backward(model.FinalNorm, hidden, inverse, gradient, null, gradient, shape.Hidden, rows);
        meter.Add(StepPart.Loss, begun);
        double sum = 0;
        for (long i = 0; i < rows; i++) sum += batch.LossFactors[i] * batch.Losses[i];
        return sum;
    }

    /// <summary>Logits (T, vocabulary) of the stack's output (T, hidden), which is overwritten by its norm.</summary>
    public void Logits(float* hidden, long tokens, float* logits)
    {
        norms.Forward(model.FinalNorm, hidden, hidden, null, shape.Hidden, tokens);
        linear.Forward(model.Head, hidden, tokens, logits, shape.Vocabulary, _kept, shape.LogitMultiplier, StepPart.Loss);
        if (shape.LogitCap is not { } cap) return;
        TorchThreads.For(0, tokens, 1, (begin, end) =>
        {
            for (var t = begin; t < end; t++) SoftCap.Forward(logits + t * shape.Vocabulary, null, shape.Vocabulary, cap);
        });
    }

    // The weights depend on all losses, so these come first, and the logits once more with the gradient.
    private void Weigh(FastBatch batch, float* normed, Func<float[], float[]> weigh)
    {
        var key = linear.Key;
        for (long first = 0; first < batch.LossCount; first += _chunk)
        {
            linear.Key = key is { } step ? step with { FirstRow = first } : null;
            var count = Math.Min(_chunk, batch.LossCount - first);
            linear.Forward(model.Head, normed + first * shape.Hidden, count, _logits, shape.Vocabulary, _kept, shape.LogitMultiplier, StepPart.Loss);
            CrossEntropyRows(batch, first, count, null);
        }
        linear.Key = key;
        var losses = new float[batch.Tokens];
        for (var i = 0; i < batch.LossCount; i++) losses[batch.LossRows[i]] = (float)batch.Losses[i];
        var weights = weigh(losses);
        for (var i = 0; i < batch.LossCount; i++) batch.LossFactors[i] = weights[batch.LossRows[i]];
    }

    // (1 - e) (-log p_y) + e mean_v(-log p_v) = -log p_y + e (x_y - mean x); its slope differs by e at the target and -e / V everywhere.
    private void Smooth(float* row, int target, float factor, double* loss, double more)
    {
        *loss += more;
        row[target] += factor;
        var each = factor / shape.Vocabulary;
        for (var v = 0; v < shape.Vocabulary; v++) row[v] -= each;
    }

    private double Mean(float* row)
    {
        double sum = 0;
        for (var v = 0; v < shape.Vocabulary; v++) sum += row[v];
        return sum / shape.Vocabulary;
    }

    private void CrossEntropyRows(FastBatch batch, long first, long count, double? lossScale)
    {
        var logits = _logits;
        TorchThreads.For(0, count, 1, (slot, begin, end) =>
        {
            var slopes = _slopes + (long)slot * shape.Vocabulary;
            for (var i = begin; i < end; i++)
            {
                var row = logits + i * shape.Vocabulary;
                if (shape.LogitCap is { } cap) SoftCap.Forward(row, lossScale is null ? null : slopes, shape.Vocabulary, cap);
                var factor = (float)(batch.LossFactors[first + i] * (lossScale ?? 0));
                var smoothing = lossScale is null ? 0 : batch.Batch.LabelSmoothing;
                var above = smoothing == 0 ? 0 : row[batch.LossTargets[first + i]] - Mean(row);
                CrossEntropy.Rows(row, shape.Vocabulary, batch.LossTargets + first + i, lossScale is null ? null : &factor, batch.Losses + first + i, 0, 1);
                if (smoothing != 0) Smooth(row, batch.LossTargets[first + i], (float)(factor * smoothing), batch.Losses + first + i, smoothing * above);
                if (shape.LogitCap is not null && lossScale is not null) Arithmetic.Product(slopes, row, row, 0, shape.Vocabulary);
            }
        });
    }
}
