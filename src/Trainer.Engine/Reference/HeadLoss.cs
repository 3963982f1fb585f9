using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Engine.Reference;

/// <summary>Cross entropy at labelled positions only, a chunk of tokens at a time: logits never exist whole.</summary>
internal sealed class HeadLoss(LoadedDecoder model, DecoderPass pass)
{
    private const long ChunkLogits = 16 << 20;

    /// <summary>Sum of weighted token losses; the gradient of lossScale times it with respect to <paramref name="normed"/> comes back, the head's own gradients
    /// go to the buffer.</summary>
    /// <param name="normed">Hidden states after the final norm, [T, hidden], outside any graph.</param>
    /// <param name="context">The batch.</param>
    /// <param name="lossScale">Multiplier of the gradient.</param>
    public (double LossSum, Tensor Gradient) ForwardBackward(Tensor normed, BatchContext context, double lossScale)
    {
        var gradient = zeros_like(normed);
        double sum = 0;
        long first = 0;
        var weighed = context.Batch.Weigh?.Invoke(Losses(normed, context.Batch, context.Key));
        foreach (var (positions, targets, weights) in Chunks(context.Batch, weighed))
        {
            using var scope = NewDisposeScope();
            var at = tensor(positions, dtype: ScalarType.Int64, device: normed.device);
            var chunk = normed.index_select(0, at).detach().requires_grad_(true);
            var losses = TokenLosses(chunk, targets, context.Key is { } key ? key with { FirstRow = first } : null, context.Batch,
                context.Batch.LabelSmoothing).Losses;
            first += positions.Length;
            var weighted = losses * tensor(weights, dtype: ScalarType.Float32, device: normed.device);
            sum += weighted.to(ScalarType.Float64).sum().item<double>();
            (weighted.sum() * lossScale).backward();
            pass.Fault.Rethrow();
            gradient.index_copy_(0, at, chunk.grad!);
        }
        return (sum, gradient);
    }

    /// <summary>Unweighted losses, length T, 0 at ignored targets.</summary>
    public float[] Losses(Tensor normed, TokenBatch batch, StepKey? key = null)
    {
        var result = new float[batch.Length];
        long first = 0;
        foreach (var (positions, targets, _) in Chunks(batch))
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var at = tensor(positions, dtype: ScalarType.Int64, device: normed.device);
            var (losses, logits) = TokenLosses(normed.index_select(0, at), targets, key is { } masks ? masks with { FirstRow = first } : null, batch);
            first += positions.Length;
            Scatter(losses, positions, result);
            if (batch.LogitMeans is { } means) Scatter(logits.mean([1]), positions, means);
        }
        return result;
    }

    private (Tensor Losses, Tensor Logits) TokenLosses(Tensor hidden, long[] targets, StepKey? key, TokenBatch batch, double smoothing = 0)
    {
        var logits = pass.Head(hidden, key);
        if (batch.Temperature != 1) logits = logits / batch.Temperature;
        var wanted = tensor(targets, dtype: ScalarType.Int64, device: hidden.device);
        return (nn.functional.cross_entropy(logits, wanted, reduction: nn.Reduction.None, label_smoothing: smoothing), logits);
    }

    private static void Scatter(Tensor values, long[] positions, float[] target)
    {
        using var here = values.cpu();
        var each = here.data<float>();
        for (var i = 0; i < positions.Length; i++) target[positions[i]] = each[i];
    }

    private IEnumerable<(long[] Positions, long[] Targets, float[] Weights)> Chunks(TokenBatch batch, float[]? weighed = null)
    {
        var size = (int)Math.Clamp(ChunkLogits / model.Config.VocabularySize, 16, 4096);
        var (positions, targets, weights) = (new List<long>(), new List<long>(), new List<float>());
        var segment = 0;
        for (var t = 0; t < batch.Length; t++)
        {
            while (t >= batch.SegmentStarts[segment + 1]) segment++;
            if (batch.Targets[t] == TokenBatch.IgnoredTarget) continue;
            positions.Add(t);
            targets.Add(batch.Targets[t]);
            weights.Add(weighed is null ? batch.SegmentWeights[segment] : weighed[t]);
            if (positions.Count < size) continue;
            yield return (positions.ToArray(), targets.ToArray(), weights.ToArray());
            positions.Clear();
            targets.Clear();
            weights.Clear();
        }
        if (positions.Count > 0) yield return (positions.ToArray(), targets.ToArray(), weights.ToArray());
    }
}
