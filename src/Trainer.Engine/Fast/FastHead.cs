using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>Final norm, head and cross entropy of the rows that carry loss, a chunk at a time: logits never exist whole, loss and gradient come in one
/// pass.</summary>
internal sealed class FastHead(LoadedDecoder model, FastShape shape, IKernels kernels, FastLinear linear, FastNorm norms)
{
    // 128 MiB of logits: large enough that writing the head's matrix out for each chunk stays a few percent of its products.
    private const long ChunkFloats = 32 << 20;

    // So few are computed twice in no time, and their gradient is rounded once less.
    private const long FewLogits = 1 << 20;

    /// <summary>Rows of logits at a time.</summary>
    public static long Chunk(FastShape shape, long lossRows) => Math.Min(lossRows, Math.Max(64, ChunkFloats / shape.Vocabulary));

    /// <summary>Losses of all rows into the batch; the gradient of their weighted sum times <paramref name="lossScale"/> into
    /// <see cref="FastBuffers.RowGradient"/>.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="hidden">The stack's output at the loss rows (rows, hidden).</param>
    /// <param name="lossScale">Multiplier of the gradient, or null for losses alone.</param>
    /// <param name="needsInput">Whether anything below the head is trained.</param>
    public void Run(FastPass pass, Place hidden, double? lossScale, bool needsInput)
    {
        var batch = pass.Batch;
        var (chunk, kept) = (pass.Layout.LossChunk, Kept(pass));
        long rows = batch.LossCount;
        Place normed = pass.Memory.Floats(BufferId.HeadNormed), logits = pass.Memory.Floats(BufferId.Logits), inverse = pass.Buffers.RowInverse,
            gradient = pass.Buffers.RowGradient;
        needsInput |= norms.Trains(model.FinalNorm);
        norms.Forward(model.FinalNorm, hidden, normed, inverse, shape.Hidden, rows);
        var weigh = lossScale is null ? null : batch.Batch.Weigh;
        var scaledLater = weigh is not null && IsFrozen && batch.Batch.LabelSmoothing == 0 && rows * shape.Vocabulary > FewLogits;
        if (scaledLater) batch.Weigh([.. Enumerable.Repeat(1f, batch.Tokens)]);
        else if (weigh is not null) Weigh(pass, normed, weigh);
        for (long first = 0; first < rows; first += chunk)
        {
            var count = Math.Min(chunk, rows - first);
            var x = normed + first * shape.Hidden;
            var part = pass.FromRow(first);
            linear.Forward(part, model.Head, x, count, logits, shape.Vocabulary, kept, Multiplier(batch));
            CrossEntropyRows(pass, first, count, lossScale);
            if (lossScale is null) continue;
            var dx = needsInput ? gradient + first * shape.Hidden : default;
            linear.Backward(part, model.Head, x, count, logits, shape.Vocabulary, dx, false, kept, Multiplier(batch));
        }
        if (scaledLater)
        {
            Weigh(batch, weigh!);
            // A frozen head's gradient is linear in each row's weight, so one product serves, whenever the weight is known.
            if (needsInput) kernels.ScaleRows(gradient, shape.Hidden, shape.Hidden, batch.LossFactors, rows);
        }
        if (lossScale is not null && needsInput) norms.Backward(model.FinalNorm, hidden, inverse, gradient, default, gradient, shape.Hidden, rows);
    }

    /// <summary>Logits (T, vocabulary) of the stack's output (T, hidden), which is overwritten by its norm.</summary>
    public void Logits(FastPass pass, Place hidden, long tokens, Place logits)
    {
        norms.Forward(model.FinalNorm, hidden, hidden, default, shape.Hidden, tokens);
        linear.Forward(pass, model.Head, hidden, tokens, logits, shape.Vocabulary, Kept(pass), shape.LogitMultiplier);
        kernels.CapLogits(logits, tokens);
    }

    private static AdapterState Kept(FastPass pass) => new(pass.Memory.FloatsOrNone(BufferId.HeadLow), default, default);

    // A cap would lie between the two; who asks for a temperature knows that there is none.
    private float Multiplier(FastBatch batch) => (float)(shape.LogitMultiplier / batch.Batch.Temperature);

    // Nothing of the head is trained: what it gets from a row is a gradient for that row alone.
    private bool IsFrozen => model.Head is { Adapter: null, TrainedWeight: null, TrainedBias: null, Rows: null } || !model.AdaptersEnabled;

    // The weights depend on all losses, and a trained head's own gradient on them: these come first, and the logits once more with the gradient.
    private void Weigh(FastPass pass, Place normed, Func<float[], float[]> weigh)
    {
        var (batch, chunk, kept) = (pass.Batch, pass.Layout.LossChunk, Kept(pass));
        var logits = pass.Memory.Floats(BufferId.Logits);
        for (long first = 0; first < batch.LossCount; first += chunk)
        {
            var count = Math.Min(chunk, batch.LossCount - first);
            linear.Forward(pass.FromRow(first), model.Head, normed + first * shape.Hidden, count, logits, shape.Vocabulary, kept, Multiplier(batch));
            CrossEntropyRows(pass, first, count, null);
        }
        Weigh(batch, weigh);
    }

    private static void Weigh(FastBatch batch, Func<float[], float[]> weigh)
    {
        batch.FetchLosses();
        var losses = new float[batch.Tokens];
        batch.CopyLosses(losses);
        batch.Weigh(weigh(losses));
    }

    private void CrossEntropyRows(FastPass pass, long first, long count, double? lossScale)
    {
        var batch = pass.Batch;
        kernels.CrossEntropy(
            pass.Memory, pass.Memory.Floats(BufferId.Logits), count, batch.LossTargets + first, batch.LossFactors + first, batch.LossValues + first,
            lossScale, lossScale is null ? 0 : batch.Batch.LabelSmoothing, batch.LogitMeans + first);
    }
}
