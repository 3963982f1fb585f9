using Trainer.Checkpoints.Atomic;
using Trainer.Training;

namespace Trainer.Cli.Reports;

/// <summary>Leaves the effective recipe in the run folder, so that the run can be made again or continued.</summary>
internal sealed class RecipeWriter(string directory, string recipe) : ITrainingObserver
{
    public void On(TrainingEvent trainingEvent)
    {
        // Not before the first step: a refused run leaves nothing, and the recipe of a run that is replaced stays till then. run.json takes the recipe's hash
        // after it.
        if (trainingEvent is RunStarted) AtomicFile.WriteText(Path.Combine(directory, "recipe.yaml"), recipe);
    }
}
