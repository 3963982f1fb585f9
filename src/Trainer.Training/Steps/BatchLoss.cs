using Trainer.Data;

namespace Trainer.Training.Steps;

/// <summary>Sums of token losses.</summary>
internal static class BatchLoss
{
    /// <summary>The sum of weighted token losses of a batch.</summary>
    /// <param name="tokenLosses">Unweighted loss of each token, length T, 0 where no target is.</param>
    /// <param name="batch">The batch.</param>
    public static double Of(float[] tokenLosses, MicroBatch batch)
    {
        double sum = 0;
        for (var segment = 0; segment < batch.SegmentWeights.Length; segment++)
            sum += batch.SegmentWeights[segment] * OfSegment(tokenLosses, batch, segment);
        return sum;
    }

    /// <summary>The unweighted sum over one segment.</summary>
    public static double OfSegment(float[] tokenLosses, MicroBatch batch, int segment)
    {
        double sum = 0;
        for (var t = batch.SegmentStarts[segment]; t < batch.SegmentStarts[segment + 1]; t++) sum += tokenLosses[t];
        return sum;
    }
}
