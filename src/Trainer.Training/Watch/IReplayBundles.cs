using Trainer.Data;
using Trainer.Training.Optimizers;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Training.Watch;

/// <summary>Writes what is needed to repeat one step alone.</summary>
internal interface IReplayBundles
{
    /// <summary>Writes a bundle of the state before this step and its micro-batches; null where that is impossible.</summary>
    string? Write(RunState state, IReadOnlyList<MicroBatch> step, IAdaptedModel model, IOptimizer optimizer);

    /// <summary>The newest checkpoint, for messages.</summary>
    string? LastGoodCheckpoint { get; }
}
