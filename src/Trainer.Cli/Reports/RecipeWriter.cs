using Trainer.Training;

namespace Trainer.Cli.Reports;

/// <summary>Leaves the effective recipe in the run folder, so that the run can be made again or continued.</summary>
internal sealed class RecipeWriter(string directory, string recipe) : ITrainingObserver
{
    public void On(TrainingEvent trainingEvent)
    {
        // The plan is the first thing said once the folder is this run's alone and nothing has drifted; run.json takes the recipe's hash after it.
        if (trainingEvent is not Planned) return;
        var path = Path.Combine(directory, "recipe.yaml");
        File.WriteAllText(path + ".new", recipe);
        File.Move(path + ".new", path, overwrite: true);
    }
}
