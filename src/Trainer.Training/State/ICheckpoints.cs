using Trainer.Training.Optimizers;
using Trainer.Training.Steps;

namespace Trainer.Training.State;

/// <summary>Where the loop leaves its checkpoints.</summary>
internal interface ICheckpoints
{
    /// <summary>Writes, verifies and publishes the checkpoint of this state; one that is already there for this step is kept.</summary>
    /// <returns>Its folder.</returns>
    string Save(RunState state, IAdaptedModel model, IOptimizer optimizer);

    /// <summary>A clause for messages: which checkpoint there is to continue from.</summary>
    string Describe(string directory) => $"checkpoint {directory}";
}
