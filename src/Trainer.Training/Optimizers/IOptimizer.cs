namespace Trainer.Training.Optimizers;

/// <summary>Turns gradients into new values. What it remembers between steps is named state, and nothing else of it is saved.</summary>
internal interface IOptimizer
{
    /// <summary>All that a resumed run needs beside the values, in the order of a checkpoint; views of the memory in use.</summary>
    IReadOnlyList<StateTensor> State { get; }

    /// <summary>Updates every value once.</summary>
    /// <param name="values">All values, float32, laid out as the parameter buffer.</param>
    /// <param name="gradients">Their gradients, laid out alike; left as they are.</param>
    /// <param name="step">The step's numbers.</param>
    void Step(Span<float> values, ReadOnlySpan<float> gradients, in OptimizerStep step);

    /// <summary>Gives the values to evaluate and to save, where these are not the values in training.</summary>
    /// <param name="values">The values in training.</param>
    /// <param name="averages">Filled where the answer is true.</param>
    bool Average(ReadOnlySpan<float> values, Span<float> averages) => false;
}
