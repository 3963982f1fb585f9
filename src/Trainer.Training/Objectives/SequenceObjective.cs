using Trainer.Data;
using Trainer.Engine;
using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>
/// Minimises a loss over whole answers. One training pass of the policy is enough: its token losses are known before its backward pass begins, and
/// the loss turns them, together with the reference's, into a weight for each token. The mean is over the rows of the step, so it does not depend
/// on how they are split.
/// </summary>
/// <param name="loss">The loss.</param>
/// <param name="reference">The reference; null where the loss has none, or scores without one.</param>
internal sealed class SequenceObjective(ISequenceLoss loss, IReference? reference) : IObjective
{
    public IReadOnlyList<string> Metrics => loss.Metrics;

    public double Divisor(IReadOnlyList<MicroBatch> batches) => batches.Sum(batch => (double)batch.RowCount);

    public double ForwardBackward(IAdaptedModel model, MicroBatch batch, double scale, StepKey key, MetricSums metrics)
    {
        var known = batch;
        batch = loss.Prepare(batch);
        var frozen = Frozen(model, batch, known);
        // What only measures (KTO's mismatched answers, which lie last) needs no backward pass.
        var trained = batch.Segments(0, batch.Roles.Count(role => role != SegmentRole.Mismatched));
        var measured = trained.TokenIds.Length == batch.TokenIds.Length ? [] : model.TokenLosses(batch.Segments(trained.Roles.Length, batch.Roles.Length));
        double sum = 0;
        // Of answers that only measure it stays 0, and nobody looks.
        var means = new float[batch.TokenIds.Length];
        var ofTrained = means.Length == trained.TokenIds.Length ? means : new float[trained.TokenIds.Length];
        var balance = model.ForwardBackward(trained, losses =>
        {
            var weights = new float[batch.TokenIds.Length];
            if (ofTrained != means) ofTrained.CopyTo(means, 0);
            sum = loss.Weigh(Answers(batch, [.. losses, .. measured], frozen, means), weights, metrics);
            for (var t = 0; t < weights.Length; t++) weights[t] = (float)(weights[t] * scale);
            return weights[..losses.Length];
        }, key, scale * batch.RowCount, ofTrained);
        return sum + balance / scale;
    }

    public double Evaluate(IAdaptedModel model, MicroBatch batch, MetricSums metrics)
    {
        var known = batch;
        batch = loss.Prepare(batch);
        var means = new float[batch.TokenIds.Length];
        return loss.Weigh(Answers(batch, model.TokenLosses(batch, means), Frozen(model, batch, known), means), new float[batch.TokenIds.Length], metrics);
    }

    // What was asked beforehand is of the rows; answers that were put together just now (KTO's mismatched ones, which lie last) are asked now.
    private float[]? Frozen(IAdaptedModel model, MicroBatch batch, MicroBatch known)
    {
        if (reference is null) return null;
        if (known.ReferenceLosses is not { } losses) return reference.TokenLosses(model, batch);
        var asked = Enumerable.Range(0, known.Roles.Length).Where(segment => known.Roles[segment] != SegmentRole.Mismatched)
            .SelectMany(segment => losses[known.SegmentStarts[segment]..known.SegmentStarts[segment + 1]]).ToArray();
        return asked.Length == batch.TokenIds.Length ? asked
            : [.. asked, .. reference.TokenLosses(model, batch.Segments(batch.Roles.Count(role => role != SegmentRole.Mismatched), batch.Roles.Length))];
    }

    private static List<AnswerScore> Answers(MicroBatch batch, float[] policy, float[]? frozen, float[] means) =>
        [.. batch.Roles.Select((role, segment) => new AnswerScore(role, batch.SegmentStarts[segment], batch.AnswerStarts[segment] - 1,
        batch.SegmentStarts[segment + 1] - 1, policy, frozen) { LogitMeans = means })];
}
