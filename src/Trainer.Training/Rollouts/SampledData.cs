using Trainer.Data;
using Trainer.Training.State;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Training.Rollouts;

/// <summary>Prompts as answers to learn from: a step's micro-batches are made up when it comes, and serve as many steps as the run says.</summary>
internal sealed class SampledData(TrainingOptions options, ITrainingData prompts, RolloutMaker maker, RunState state) : ITrainingData
{
    private readonly int _iterations = options.Grpo.NumIterations;

    private (long Round, IReadOnlyList<MicroBatch> Batches)? _current;

    public IReadOnlyList<MicroBatch> EvalBatches => prompts.EvalBatches;

    public long StepsOf(double epochs) => prompts.StepsOf(epochs) * _iterations;

    public IReadOnlyList<MicroBatch> Step(long step, Action? between = null)
    {
        var round = step / _iterations;
        if (_current is { } current && current.Round == round) return current.Batches;
        // A run that goes on between two steps of the same answers has them from its checkpoint: the values that made them up are gone.
        var batches = state.Rollout is { } kept && kept.Round == round ? kept.Batches()
            : maker.ForTraining(prompts.Step(round).Single(), round, step, between ?? (static () => { }));
        if (_iterations > 1) state.Rollout = KeptRollout.Of(round, batches);
        _current = (round, batches);
        return batches;
    }

    public MicroBatch LongestBatch() => prompts.LongestBatch();

    public double EpochAt(long stepsDone)
    {
        var (round, within) = (stepsDone / _iterations, stepsDone % _iterations);
        var epoch = prompts.EpochAt(round);
        if (within == 0) return epoch;
        // The whole epoch is reached with the last step of its last answers.
        var next = prompts.EpochAt(round + 1);
        return epoch + (next - epoch) * within / _iterations;
    }
}
