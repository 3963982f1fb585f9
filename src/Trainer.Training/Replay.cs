using Trainer.Distributed;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;
using Trainer.Training.Records;
using Trainer.Training.Schedules;
using Trainer.Training.State;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Training;

/// <summary>Re-executes the single step of a replay bundle: same values, optimizer state, rows and dropout masks.</summary>
public static class Replay
{
    /// <summary>Loads the bundle's model and repeats the step; nothing is written.</summary>
    /// <param name="directory">A <c>replay-step-N</c> folder of a run.</param>
    /// <param name="observers">Hear of loading.</param>
    /// <exception cref="Trainer.Checkpoints.BadFileException">The folder is no bundle.</exception>
    public static ReplayResult Run(string directory, IReadOnlyList<ITrainingObserver> observers)
    {
        var content = CheckpointContent.ReadState(directory);
        using var model = AdaptedModel.Load(content.Manifest.Settled, new Events(observers),
            beginning: new AdapterBeginning(content.Manifest.LayerRanks, null));
        return Step(directory, model);
    }

    internal static ReplayResult Step(string directory, IAdaptedModel model)
    {
        var content = CheckpointContent.ReadState(directory);
        var (options, state) = (content.Manifest.Options, content.State);
        var batches = ReplayBatches.Read(directory);
        // The objective first: a frozen copy of the adapter is of the values that the run began with.
        var objective = ObjectiveTable.Make(options, model);
        using var optimizer = OptimizerTable.Make(model.Parameters, options);
        content.Restore(model, optimizer);
        using var ranks = new SingleProcess();
        var (loss, norm, _, _, _) = new TrainingStep(options, model, objective, ranks).Gradients(state.Step, batches);
        var rate = new LearningRate(options, state.ScheduledSteps, state.Plateau).At(state.Step);
        var isFinite = double.IsFinite(loss) && double.IsFinite(norm);
        var place = isFinite ? null : NonFinitePlace.In(model.Parameters.HostValues(), model.Parameters.Tensors, "weight")
            ?? model.FindNonFinite(batches[0]) ?? NonFinitePlace.FromTop(model.Parameters.HostGradients(), model.Parameters.Tensors, "gradient");
        var rows = batches.SelectMany(batch =>
        {
            var losses = model.TokenLosses(batch);
            return batch.Rows.Select((row, segment) => new ReplayRow(row.ToString(), batch.SegmentStarts[segment + 1] - batch.SegmentStarts[segment],
                BatchLoss.OfSegment(losses, batch, segment)));
        }).ToList();
        return new ReplayResult(state.Step + 1, loss, norm, rate, isFinite, place, rows);
    }
}
