using Trainer.Data;
using Trainer.Training.Objectives;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.Steps;

namespace Trainer.Training;

/// <summary>What a preference objective measures of a model on data: its loss, rewards, accuracy, margin and log-probabilities.</summary>
public static class PreferenceEvaluation
{
    /// <summary>Loads model and data and measures the adapter and, where there is one, the base without it.</summary>
    /// <param name="options">Model, data (the training sources are what is measured), adapter folder or null for the base alone, the objective and what it
    /// reads.</param>
    /// <param name="perRow">Keep what is measured of each row; an objective whose rows weigh each other has none.</param>
    /// <param name="observers">Hear of progress.</param>
    /// <param name="stop">Ends it early with <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="NonFiniteException">A loss is NaN or infinite.</exception>
    public static PreferenceResult Run(TrainingOptions options, bool perRow, IReadOnlyList<ITrainingObserver> observers, CancellationToken stop)
    {
        var events = new Events(observers);
        using var dataset = DataLoading.Open(options, events, stop: stop);
        if (SequenceLength.Warning(options) is { } tooLong) events.Warn(tooLong);
        using var model = AdaptedModel.LoadForReading(options, events, stop);
        return Of(options, model, dataset.Train, perRow, events, stop);
    }

    internal static PreferenceResult Of(TrainingOptions options, AdaptedModel model, ExampleSet set, bool perRow, Events events, CancellationToken stop)
    {
        var objective = ObjectiveTable.Make(options, model);
        var size = perRow ? 1 : BatchOptions.EvalRows(options);
        var policy = Measure(options, objective, model, set, size, perRow, "evaluating", events, stop);
        return options.AdapterDirectory is null ? policy
            : policy with { Base = model.AsBase(() => Measure(options, objective, model, set, size, false, "evaluating the base", events, stop)) };
    }

    private static PreferenceResult Measure(
        TrainingOptions options, IObjective objective, AdaptedModel model, ExampleSet set, int size, bool perRow, string phase, Events events,
        CancellationToken stop)
    {
        double sum = 0, rows = 0;
        long tokens = 0, trained = 0;
        var (totals, counts) = (new Dictionary<string, double>(StringComparer.Ordinal), new Dictionary<string, double>(StringComparer.Ordinal));
        var each = new List<PreferenceRow>();
        for (var begin = 0; begin < set.Count; begin += size)
        {
            stop.ThrowIfCancellationRequested();
            var batch = set.Batch([.. Enumerable.Range(begin, Math.Min(size, set.Count - begin))], weighted: false);
            var metrics = new MetricSums(objective.Metrics);
            var loss = objective.Evaluate(model, batch, metrics);
            if (!double.IsFinite(loss)) throw Evaluation.NoNumber(options, batch.Rows[0]);
            var means = metrics.Means();
            // A pair weighs as much in a short last batch; what is measured of labels is a mean over batches, as in training.
            var weight = options.Objective == "kto" ? 1 : batch.RowCount;
            foreach (var (name, mean) in means)
            {
                totals[name] = totals.GetValueOrDefault(name) + weight * mean;
                counts[name] = counts.GetValueOrDefault(name) + weight;
            }
            if (perRow) each.Add(new PreferenceRow(batch.Rows[0], loss / batch.RowCount, means));
            (sum, rows, tokens, trained) = (sum + loss, rows + batch.RowCount, tokens + batch.TokenIds.Length, trained + batch.TrainedTokens);
            events.Emit(new PhaseProgressed(phase, Math.Min(begin + size, set.Count), set.Count));
        }
        return new PreferenceResult(rows == 0 ? double.NaN : sum / rows,
            objective.Metrics.Where(totals.ContainsKey).ToDictionary(name => name, name => totals[name] / counts[name]), tokens, trained, each);
    }
}
