using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Training.Objectives;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Training.Steps;

/// <summary>The data set of a run, cut into micro-batches.</summary>
internal sealed class TrainingData : ITrainingData, IDisposable
{
    private readonly Dataset _dataset;
    private readonly int _evalRows;
    private readonly int _stepsOfRows;
    private ReferenceLosses? _reference;

    public TrainingData(TrainingOptions options, Dataset dataset)
    {
        (_dataset, _stepsOfRows) = (dataset, BatchOptions.StepsOfRows(options));
        Plan = new BatchPlan(dataset.Train, BatchOptions.Of(options));
        _evalRows = BatchOptions.EvalRows(options);
        EvalBatches = dataset.Eval is { } eval ? new HeldOutBatches(eval, _evalRows, null) : [];
    }

    public BatchPlan Plan { get; }

    public Dataset Dataset => _dataset;

    /// <summary>Every file that was read, in the order of reading.</summary>
    public IReadOnlyList<RunDataFile> Files =>
        [.. FilesOf(RunDataFile.Train, _dataset.Statistics), .. _dataset.EvalStatistics is { } held ? FilesOf(RunDataFile.HeldOut, held) : []];

    private static IEnumerable<RunDataFile> FilesOf(string role, DataStatistics data)
        => data.Files.Select(file => new RunDataFile(role, file.Path, file.Sha256));

    public DataCounts Counts => Count(_dataset.Statistics);

    private DataCounts Count(DataStatistics data) => new(
        _dataset.Train.Count, _dataset.Train.Tokens, _dataset.Train.TrainedTokens, _dataset.Statistics.Dropped.Values.Sum(), _dataset.Eval?.Count ?? 0, 0,
        [.. data.Lengths.Where(bucket => bucket.Rows > 0)], DataNotes.Dropped(data), data.TruncatedRows, data.SplitRows, data.EmptyAnswers, data.Duplicates,
        data.IgnoredColumns);

    public IReadOnlyList<MicroBatch> EvalBatches { get; private set; }

    public long StepsOf(double epochs) => Plan.TotalSteps(epochs) * _stepsOfRows;

    public IReadOnlyList<MicroBatch> Step(long step, Action? between = null) => [.. Plan.Step(step).Select(Batch)];

    /// <summary>The micro-batches of the first pass, in the order of the run.</summary>
    public IEnumerable<MicroBatch> FirstPass() => Enumerable.Range(0, Plan.MicroBatches(0)).Select(index => Batch(Plan.MicroBatch(0, index)));

    /// <summary>From now on batches bring along what the reference says of them.</summary>
    /// <param name="ask">Asks it about a set of examples.</param>
    public void Ask(Func<ExampleSet, ReferenceLosses> ask)
    {
        _reference = ask(_dataset.Train);
        if (_dataset.Eval is { } eval) EvalBatches = new HeldOutBatches(eval, _evalRows, ask(eval));
    }

    private MicroBatch Batch(int[] rows)
    {
        var batch = _dataset.Train.Batch(rows);
        return _reference?.With(batch, rows) ?? batch;
    }

    public MicroBatch LongestBatch() => BatchAt(1);

    /// <summary>The micro-batch of the first pass that has more tokens than the given share of the others.</summary>
    public MicroBatch BatchAt(double share)
    {
        var tokens = Plan.TokensOf(0);
        var order = new int[tokens.Length];
        for (var index = 0; index < order.Length; index++) order[index] = index;
        // Of equal ones the first, as in the order of the run.
        Array.Sort(order, (a, b) => tokens[a] != tokens[b] ? tokens[a].CompareTo(tokens[b]) : b.CompareTo(a));
        return _dataset.Train.Batch(Plan.MicroBatch(0, order[(int)(share * (order.Length - 1))]));
    }

    public double EpochAt(long stepsDone) => Plan.EpochAt(stepsDone);

    public void Dispose() => _dataset.Dispose();

    /// <summary>Held-out examples in order, so many to a batch, laid out when asked for: they may be more than memory holds.</summary>
    private sealed class HeldOutBatches(ExampleSet set, int batchSize, ReferenceLosses? reference) : IReadOnlyList<MicroBatch>
    {
        public int Count => (set.Count + batchSize - 1) / batchSize;

        public MicroBatch this[int index]
        {
            get
            {
                var rows = Enumerable.Range(index * batchSize, Math.Min(batchSize, set.Count - index * batchSize)).ToArray();
                var batch = set.Batch(rows, weighted: false);
                return reference?.With(batch, rows) ?? batch;
            }
        }

        public IEnumerator<MicroBatch> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
