using Trainer.Data;

namespace Trainer.Training.Objectives;

/// <summary>Token losses of the reference on every example of a set, one behind the other.</summary>
/// <param name="set">The examples.</param>
/// <param name="values">Loss of each token, 0 where no target is.</param>
internal sealed class ReferenceLosses(ExampleSet set, float[] values)
{
    private readonly int[] _starts = Starts(set);

    /// <summary>The batch with what the reference says of it.</summary>
    /// <param name="batch">The examples, laid out.</param>
    /// <param name="rows">Which they are.</param>
    public MicroBatch With(MicroBatch batch, int[] rows) =>
        batch.Told([.. rows.SelectMany(row => values[_starts[row].._starts[row + 1]])]);

    /// <summary>Offset of each example, and the end.</summary>
    public static int[] Starts(ExampleSet set)
    {
        var starts = new int[set.Count + 1];
        for (var row = 0; row < set.Count; row++) starts[row + 1] = checked(starts[row] + set.Lengths[row]);
        return starts;
    }
}
