using Trainer.Data;
using Trainer.Engine;
using Trainer.Training.Rollouts;
using Trainer.Training.Steps;

namespace Trainer.Training.Objectives;

/// <summary>
/// Learns from answers that the model makes up and programs reward. Training batches come with their rollout; held-out prompts are answered when they are
/// looked at, and their loss is a mean over answers.
/// </summary>
internal sealed class GrpoObjective(TrainingOptions options) : IObjective
{
    private readonly GrpoLoss _loss = new(options);

    private readonly GrpoLoss _byAnswer = new(options with { Preference = options.Preference with { LossType = ["grpo"] } });

    /// <summary>Answers held-out prompts; null where nobody can.</summary>
    public Func<MicroBatch, IReadOnlyList<MicroBatch>>? HeldOut { get; init; }

    public IReadOnlyList<string> Metrics => Names(options);

    /// <summary>What a run measures, by TRL's names.</summary>
    public static IReadOnlyList<string> Names(TrainingOptions options) =>
    [
        .. RolloutMeasures.Names(options.Grpo), .. options.Preference.Beta > 0 ? ["kl"] : Array.Empty<string>(),
        "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean",
    ];

    public double Divisor(IReadOnlyList<MicroBatch> batches) =>
        batches.Sum(batch => batch.Rollout is null ? (double)batch.RowCount * options.Grpo.NumGenerations : _loss.Share(batch));

    public double ForwardBackward(IAdaptedModel model, MicroBatch batch, double scale, StepKey key, MetricSums metrics)
    {
        Tell(batch, metrics);
        double sum = 0;
        var balance = model.ForwardBackward(batch, losses =>
        {
            var weights = new float[losses.Length];
            sum = _loss.Sum(batch, losses, weights, metrics);
            for (var t = 0; t < weights.Length; t++) weights[t] = (float)(weights[t] * scale);
            return weights;
        }, key, scale * _loss.Share(batch));
        return sum + balance / scale;
    }

    public double Evaluate(IAdaptedModel model, MicroBatch batch, MetricSums metrics)
    {
        var answered = HeldOut ?? throw new OptionException("--objective grpo measures held-out prompts in a run alone: there its reward programs are");
        double sum = 0;
        foreach (var part in answered(batch))
        {
            Tell(part, metrics);
            sum += _byAnswer.Sum(part, model.TokenLosses(part), new float[part.TokenIds.Length], metrics);
        }
        return sum;
    }

    private static void Tell(MicroBatch batch, MetricSums metrics)
    {
        foreach (var (name, value) in batch.Rollout!.Measured) metrics.Add(name, value);
    }
}
