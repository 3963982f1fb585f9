using Trainer.Data;
using Trainer.Training.Records;
using Trainer.Training.Steps;

namespace Trainer.Training;

/// <summary>The loss of a model, with or without an adapter, on data.</summary>
public static class Evaluation
{
    /// <summary>Loads model and data and measures.</summary>
    /// <param name="options">Model, data (the training sources are what is measured), adapter folder or null for the base alone, batch size,
    /// quantization.</param>
    /// <param name="perRow">Keep each row's loss.</param>
    /// <param name="perToken">Keep each token's loss too.</param>
    /// <param name="observers">Hear of progress.</param>
    /// <param name="stop">Ends it early with <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="NonFiniteException">A row's loss is NaN or infinite.</exception>
    public static EvaluationResult Run(TrainingOptions options, bool perRow, bool perToken, IReadOnlyList<ITrainingObserver> observers, CancellationToken stop)
    {
        var events = new Events(observers);
        using var dataset = DataLoading.Open(options, events, stop: stop);
        if (SequenceLength.Warning(options) is { } tooLong) events.Warn(tooLong);
        using var model = AdaptedModel.LoadForReading(options, events, stop);
        return Of(options, model, dataset.Train, perRow, perToken, events, stop);
    }

    /// <summary>What is said of a loss that is no number: an answer made of it would look like a measurement.</summary>
    /// <param name="options">The model, and the adapter where there is one.</param>
    /// <param name="row">Where the first such loss is.</param>
    internal static NonFiniteException NoNumber(TrainingOptions options, RowSource row)
    {
        var whose = options.AdapterDirectory is { } adapter ? $"'{options.Model}' with the adapter '{adapter}'" : $"'{options.Model}'";
        return new NonFiniteException($"the loss of {whose} on {row} is NaN or infinite: its weights, or numbers of its config.json, run over in the pass; "
            + "look at both with 'trainer inspect', or take the model's own files");
    }

    private static EvaluationResult Of(TrainingOptions options, AdaptedModel model, ExampleSet set, bool perRow, bool perToken, Events events,
        CancellationToken stop)
    {
        var batchSize = options.BatchSize;
        double sum = 0;
        long tokens = 0, trained = 0;
        var rows = new List<EvaluatedRow>();
        for (var begin = 0; begin < set.Count; begin += batchSize)
        {
            stop.ThrowIfCancellationRequested();
            var batch = set.Batch(Enumerable.Range(begin, Math.Min(batchSize, set.Count - begin)).ToArray(), weighted: false);
            var losses = model.TokenLosses(batch);
            for (var segment = 0; segment < batch.Rows.Length; segment++)
                if (!double.IsFinite(BatchLoss.OfSegment(losses, batch, segment))) throw NoNumber(options, batch.Rows[segment]);
            sum += BatchLoss.Of(losses, batch);
            tokens += batch.TokenIds.Length;
            trained += batch.TrainedTokens;
            if (perRow || perToken) AddRows(rows, batch, losses, perToken);
            events.Emit(new PhaseProgressed("evaluating", Math.Min(begin + batchSize, set.Count), set.Count));
        }
        var loss = trained == 0 ? double.NaN : sum / trained;
        return new EvaluationResult(loss, Math.Exp(loss), tokens, trained, rows);
    }

    private static void AddRows(List<EvaluatedRow> rows, MicroBatch batch, float[] losses, bool perToken)
    {
        for (var segment = 0; segment < batch.Rows.Length; segment++)
        {
            var (begin, end) = (batch.SegmentStarts[segment], batch.SegmentStarts[segment + 1]);
            var trained = batch.Targets.AsSpan(begin, end - begin).ToArray().Count(target => target != Example.IgnoredLabel);
            var sum = BatchLoss.OfSegment(losses, batch, segment);
            var each = perToken ? Enumerable.Range(begin, end - begin).Select(t => batch.Targets[t] == Example.IgnoredLabel ? (float?)null : losses[t])
                .ToArray() : null;
            rows.Add(new EvaluatedRow(batch.Rows[segment], end - begin, trained, trained == 0 ? double.NaN : sum / trained, each));
        }
    }
}
