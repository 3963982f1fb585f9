using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast;

/// <summary>Final norm, head and cross entropy of the rows that carry loss, a chunk at a time: logits never exist whole, loss and gradient come in one pass.</summary>
internal sealed unsafe class FastHead(CausalModel model, FastShape shape, FastLinear linear, FastNorm norms, StepMeter meter)
{
    // 128 MiB of logits: large enough that writing the head's matrix out for each chunk stays a few percent of its products.
    private const long ChunkFloats = 32 << 20;

    /// <summary>Rows of logits at a time.</summary>
    public static long Chunk(FastShape shape, long lossRows) => Math.Min(lossRows, Math.Max(64, ChunkFloats / shape.Vocabulary));

    /// <summary>Losses of all rows into the batch; the gradient of their weighted sum times <paramref name="lossScale"/> into <see cref="FastBuffers.RowGradient"/>.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="hidden">The stack's output at the loss rows (rows, hidden).</param>
    /// <param name="lossScale">Multiplier of the gradient, or null for losses alone.</param>
    /// <param name="needsInput">Whether anything below the head is trained.</param>
    /// <returns>Weighted sum of losses.</returns>
    public double Run(FastPass pass, float* hidden, double? lossScale, bool needsInput)
    {
        var batch = pass.Batch;
        var (chunk, kept) = (pass.Layout.LossChunk, Kept(pass));
        var begun = StepMeter.Now;
        long rows = batch.LossCount;
        float* normed = pass.Memory.Floats(BufferId.HeadNormed), logits = pass.Memory.Floats(BufferId.Logits), inverse = pass.Buffers.RowInverse, gradient = pass.Buffers.RowGradient;
        needsInput |= norms.Trains(model.FinalNorm);
        norms.Forward(model.FinalNorm, hidden, normed, inverse, shape.Hidden, rows);
        meter.Add(StepPart.Loss, begun);
        if (lossScale is not null && batch.Batch.Weigh is { } weigh) Weigh(pass, normed, weigh);
        for (long first = 0; first < rows; first += chunk)
        {
            var count = Math.Min(chunk, rows - first);
            var x = normed + first * shape.Hidden;
            var part = pass.FromRow(first);
            linear.Forward(part, model.Head, x, count, logits, shape.Vocabulary, kept, shape.LogitMultiplier, StepPart.Loss);
            begun = StepMeter.Now;
            CrossEntropyRows(pass, first, count, lossScale);
            meter.Add(StepPart.Loss, begun);
            if (lossScale is null) continue;
            var dx = needsInput ? gradient + first * shape.Hidden : null;
            linear.Backward(part, model.Head, x, count, logits, shape.Vocabulary, dx, false, kept, shape.LogitMultiplier, StepPart.Loss);
        }
        begun = StepMeter.Now;
        if (lossScale is not null && needsInput) norms.Backward(model.FinalNorm, hidden, inverse, gradient, null, gradient, shape.Hidden, rows);
        meter.Add(StepPart.Loss, begun);
        double sum = 0;
        for (long i = 0; i < rows; i++) sum += batch.LossFactors[i] * batch.Losses[i];
        return sum;
    }

    /// <summary>Logits (T, vocabulary) of the stack's output (T, hidden), which is overwritten by its norm.</summary>
    public void Logits(FastPass pass, float* hidden, long tokens, float* logits)
    {
        norms.Forward(model.FinalNorm, hidden, hidden, null, shape.Hidden, tokens);
        linear.Forward(pass, model.Head, hidden, tokens, logits, shape.Vocabulary, Kept(pass), shape.LogitMultiplier, StepPart.Loss);
        if (shape.LogitCap is not { } cap) return;
        TorchThreads.For(0, tokens, 1, (begin, end) =>
        {
            for (var t = begin; t < end; t++) SoftCap.Forward(logits + t * shape.Vocabulary, null, shape.Vocabulary, cap);
        });
    }

    private static AdapterState Kept(FastPass pass) => new(pass.Memory.FloatsOrNull(BufferId.HeadLow), null, null);

    // The weights depend on all losses, so these come first, and the logits once more with the gradient.
    private void Weigh(FastPass pass, float* normed, Func<float[], float[]> weigh)
    {
        var (batch, chunk, kept) = (pass.Batch, pass.Layout.LossChunk, Kept(pass));
        float* logits = pass.Memory.Floats(BufferId.Logits);
        for (long first = 0; first < batch.LossCount; first += chunk)
        {
            var count = Math.Min(chunk, batch.LossCount - first);
            linear.Forward(pass.FromRow(first), model.Head, normed + first * shape.Hidden, count, logits, shape.Vocabulary, kept, shape.LogitMultiplier, StepPart.Loss);
            CrossEntropyRows(pass, first, count, null);
        }
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

    private void CrossEntropyRows(FastPass pass, long first, long count, double? lossScale)
    {
        var batch = pass.Batch;
        float* logits = pass.Memory.Floats(BufferId.Logits), slopesOfAll = pass.Memory.FloatsOrNull(BufferId.LogitSlopes);
        TorchThreads.For(0, count, 1, (slot, begin, end) =>
        {
            var slopes = slopesOfAll + (long)slot * shape.Vocabulary;
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
