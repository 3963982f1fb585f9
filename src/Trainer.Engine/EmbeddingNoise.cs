using Trainer.Engine.Native;
using Trainer.Numerics.Draws;

namespace Trainer.Engine;

/// <summary>
/// Noise on embeddings while training (NEFTune, arXiv 2310.05914): uniform in +-alpha / sqrt(L D) for L tokens of D numbers, here each segment's own L.
/// A pure function of seed, step, micro-batch and element, so that resume and recomputation draw the same.
/// </summary>
internal static unsafe class EmbeddingNoise
{
    // Some ten microseconds of draws: less is not worth a thread.
    private const long Grain = 1 << 13;

    /// <summary>Adds the batch's noise.</summary>
    /// <param name="rows">Embeddings [T, D], flat.</param>
    /// <param name="batch">The tokens, and how much noise.</param>
    /// <param name="key">Where the run stands.</param>
    /// <param name="width">D.</param>
    public static void Add(Span<float> rows, TokenBatch batch, StepKey key, int width)
    {
        var stream = SplitMix64.Mix(SplitMix64.Mix(SplitMix64.Mix(SplitMix64.Mix((ulong)key.Seed) ^ (ulong)key.Step) ^ (ulong)key.MicroStep) ^ ulong.MaxValue);
        for (var segment = 0; segment + 1 < batch.SegmentStarts.Length; segment++)
        {
            var (begin, end) = (batch.SegmentStarts[segment], batch.SegmentStarts[segment + 1]);
            var bound = batch.EmbeddingNoise / Math.Sqrt((double)(end - begin) * width);
            fixed (float* first = rows)
            {
                var target = first;
                ComputeThreads.For((long)begin * width, (long)end * width, Grain, (from, to) =>
                {
                    for (var i = from; i < to; i++)
                        target[i] += (float)(bound * (2 * ((SplitMix64.Mix(stream + (ulong)i) >> 40) / (double)(1 << 24)) - 1));
                });
            }
        }
    }
}
