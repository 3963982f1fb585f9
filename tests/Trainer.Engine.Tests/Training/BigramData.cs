using Trainer.Data;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>Rows of random tokens where successors follow a rule, in an order that depends on the epoch.</summary>
internal sealed class BigramData : ITrainingData
{
    private readonly List<Example> _rows;
    private readonly int _perEpoch;

    public BigramData(int rows, int vocabulary, int evalRows = 4, float weight = 1)
    {
        var random = new Random(5);
        _rows = [.. Enumerable.Range(0, rows + evalRows).Select(row => Row(random, row, vocabulary) with { Weight = weight })];
        _perEpoch = rows;
        EvalBatches = [.. _rows.Skip(rows).Select(row => MicroBatch.From([row]))];
    }

    public IReadOnlyList<MicroBatch> EvalBatches { get; }

    public long StepsOf(double epochs) => (long)Math.Ceiling(epochs * StepsPerEpoch);

    public MicroBatch LongestBatch() => Step(0)[0];

    public double EpochAt(long stepsDone) => stepsDone / (double)StepsPerEpoch;

    // Two micro-batches a step, what is left of them at the end of an epoch.
    public IReadOnlyList<MicroBatch> Step(long step, Action? between = null)
    {
        var (epoch, begin) = ((int)(step / StepsPerEpoch), (int)(step % StepsPerEpoch) * 2);
        return [.. Enumerable.Range(begin, Math.Min(2, _perEpoch - begin)).Select(index => MicroBatch.From([_rows[(index * 7 + epoch * 3) % _perEpoch]]))];
    }

    private int StepsPerEpoch => (_perEpoch + 1) / 2;

    private static Example Row(Random random, int row, int vocabulary)
    {
        var ids = new int[random.Next(4, 12)];
        ids[0] = random.Next(vocabulary);
        for (var i = 1; i < ids.Length; i++) ids[i] = random.Next(4) == 0 ? random.Next(vocabulary) : (ids[i - 1] * 3 + 1) % vocabulary;
        return new Example(ids, ids, 1, new RowSource("rows.jsonl", row + 1));
    }
}
