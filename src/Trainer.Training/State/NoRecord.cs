using Trainer.Data;
using Trainer.Training.Optimizers;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Training.State;

/// <summary>What a rank other than the first keeps: nothing. The first saves what all of them hold alike.</summary>
internal sealed class NoRecord : ICheckpoints, IReplayBundles
{
    public string? LastGoodCheckpoint => null;

    public string Save(RunState state, IAdaptedModel model, IOptimizer optimizer) => "of rank 0";

    public string? Write(RunState state, IReadOnlyList<MicroBatch> step, IAdaptedModel model, IOptimizer optimizer) => null;
}
