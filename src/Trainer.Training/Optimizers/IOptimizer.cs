using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>Turns gradients into new values. What it remembers between steps is named state, and nothing else of it is saved.</summary>
internal interface IOptimizer : IDisposable
{
    /// <summary>All that a resumed run needs beside the values, in the order of a checkpoint; views of the memory in use.</summary>
    IReadOnlyList<StateTensor> State { get; }

    /// <summary>Updates every value once.</summary>
    /// <param name="values">All values, float32, laid out as the parameter buffer.</param>
    /// <param name="gradients">Their gradients, laid out alike; left as they are.</param>
    /// <param name="step">The step's numbers.</param>
    void Step(LongSpan<float> values, ReadOnlyLongSpan<float> gradients, in OptimizerStep step);

    /// <summary>Gives the memory of the state back.</summary>
    void IDisposable.Dispose()
    {
        foreach (var tensor in State) tensor.Memory.Dispose();
    }

    /// <summary>Whether the values to evaluate and to save are not the values in training.</summary>
    bool HasAverages => false;

    /// <summary>Gives the values to evaluate and to save, where <see cref="HasAverages"/>.</summary>
    /// <param name="values">The values in training.</param>
    /// <param name="averages">As many, 0; the gaps between tensors stay 0.</param>
    void Average(ReadOnlyLongSpan<float> values, LongSpan<float> averages) => values.CopyTo(averages);
}
