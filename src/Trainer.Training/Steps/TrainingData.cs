using Trainer.Data;

namespace Trainer.Training;

/// <summary>The data set of a run, cut into micro-batches.</summary>
internal sealed class TrainingData : ITrainingData, IDisposable
{
    private readonly Dataset _dataset;

    public TrainingData(TrainingOptions options, Dataset dataset)
    {
        _dataset = dataset;
        Plan = new BatchPlan(dataset.Train, PlanOptions(options));
        EvalBatches = dataset.Eval is { } eval ? Batches(eval, options) : [];
    }

    public BatchPlan Plan { get; }

    public Dataset Dataset => _dataset;

    /// <summary>Every file that was read.</summary>
    public IReadOnlyList<string> Files =>
        [.. _dataset.Statistics.Files.Concat(_dataset.EvalStatistics?.Files ?? []).Select(file => file.Path)];

    public DataCounts Counts => new(
        _dataset.Train.Count, _dataset.Train.Tokens, _dataset.Train.TrainedTokens, _dataset.Statistics.Dropped.Values.Sum(), _dataset.Eval?.Count ?? 0, 0);

    public IReadOnlyList<MicroBatch> EvalBatches { get; }

    public long StepsOf(double epochs) => Plan.TotalSteps(epochs);

    public IReadOnlyList<MicroBatch> Step(long step) => [.. Plan.Step(step).Select(rows => _dataset.Train.Batch(rows))];

    public MicroBatch LongestBatch()
    {
        var lengths = _dataset.Train.Lengths;
        int[] longest = [];
        long most = -1;
        for (var index = 0; index < Plan.MicroBatches(0); index++)
        {
            var rows = Plan.MicroBatch(0, index);
            var tokens = rows.Sum(row => (long)lengths[row]);
            if (tokens > most) (longest, most) = (rows, tokens);
        }
        return _dataset.Train.Batch(longest);
    }

    public double EpochAt(long stepsDone) => Plan.EpochAt(stepsDone);

    public void Dispose() => _dataset.Dispose();

    internal static BatchPlanOptions PlanOptions(TrainingOptions options) => new()
    {
        BatchSize = options.BatchSize,
        MicroBatchesPerStep = options.GradientAccumulationSteps,
        Seed = options.DataSeed ?? options.Seed,
        Shuffle = options.Shuffle,
        GroupByLength = options.GroupByLength,
        Packing = options.Packing,
        MaxSeqLength = options.Data.MaxSeqLength,
    };

    private static List<MicroBatch> Batches(ExampleSet set, TrainingOptions options)
    {
        var batches = new List<MicroBatch>();
        var rows = Enumerable.Range(0, set.Count).ToArray();
        for (var begin = 0; begin < rows.Length; begin += options.BatchSize)
            batches.Add(set.Batch(rows.AsSpan(begin, Math.Min(options.BatchSize, rows.Length - begin)), weighted: false));
        return batches;
    }
}
