using Trainer.Training;

namespace Trainer.Cli.Reports;

/// <summary>Leaves the effective recipe in the run folder, so that the run can be made again or continued.</summary>
internal sealed class RecipeWriter(string directory, string recipe) : ITrainingObserver
{
    public void On(TrainingEvent trainingEvent)
    {
        if (trainingEvent is not RunStarted) return;
        var path = Path.Combine(directory, "recipe.yaml");
        File.WriteAllText(path + ".new", recipe);
        File.Move(path + ".new", path, overwrite: true);
    }
}
