using Trainer.Data;

namespace Trainer.Training.Objectives;

/// <summary>What policy and reference say of one answer.</summary>
/// <param name="Role">Which side of a comparison it is.</param>
/// <param name="PromptBegin">First token of its segment in the micro-batch.</param>
/// <param name="Begin">The token that predicts the first token of the answer.</param>
/// <param name="End">One past the token that predicts the last.</param>
/// <param name="Policy">Token losses of the policy, of the whole micro-batch.</param>
/// <param name="ReferenceLosses">Those of the reference; null where there is none, which scores 0.</param>
internal sealed record AnswerScore(SegmentRole Role, int PromptBegin, int Begin, int End, float[] Policy, float[]? ReferenceLosses)
{
    /// <summary>Tokens of the answer, n.</summary>
    public int Count => End - Begin;

    /// <summary>Tokens that count in full; those after them count <see cref="TailWeight"/>.</summary>
    public int Head { get; init; } = int.MaxValue;

    /// <summary>What tokens after <see cref="Head"/> count (LD-DPO, arXiv 2409.06411).</summary>
    public double TailWeight { get; init; } = 1;

    /// <summary>log p of the answer under the policy: a sum.</summary>
    public double Sum => Of(Policy);

    /// <summary>log p of the answer a token, under the policy.</summary>
    public double Mean => Sum / Count;

    /// <summary>log p of the answer under the reference.</summary>
    public double ReferenceSum => ReferenceLosses is null ? 0 : Of(ReferenceLosses);

    /// <summary>How much likelier the policy finds the answer: R.</summary>
    public double Ratio => Sum - ReferenceSum;

    /// <summary>Mean logit of each token of the whole micro-batch.</summary>
    public float[] LogitMeans { get; init; } = [];

    /// <summary>Sum over the answer's tokens of the mean logit over the vocabulary; NaN where it was not asked.</summary>
    public double LogitSum
    {
        get
        {
            if (LogitMeans.Length == 0) return double.NaN;
            double sum = 0;
            for (var t = Begin; t < End; t++) sum += LogitMeans[t];
            return sum;
        }
    }

    /// <summary>Gives each token of the answer the same weight.</summary>
    /// <param name="weights">Length T.</param>
    /// <param name="slope">Derivative of the loss by log p of the answer.</param>
    public void Pull(float[] weights, double slope)
    {
        for (var t = Begin; t < End; t++) weights[t] += (float)(-slope * Weight(t));
    }

    private double Of(float[] losses)
    {
        double sum = 0;
        for (var t = Begin; t < End; t++) sum -= losses[t] * Weight(t);
        return sum;
    }

    private double Weight(int t) => t - Begin < Head ? 1 : TailWeight;
}
