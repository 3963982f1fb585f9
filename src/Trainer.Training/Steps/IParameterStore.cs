using Trainer.Distributed;
using Trainer.Engine;
using Trainer.Numerics.Spans;
using Trainer.Training.Optimizers;
using Trainer.Training.Watch;

namespace Trainer.Training.Steps;

/// <summary>
/// The trained values and their gradients, wherever they live: one flat buffer each, float32. The gaps between tensors hold zeros.
/// What is done to them is asked for here, so that no caller needs to know whether they are in this process's memory.
/// </summary>
internal interface IParameterStore
{
    /// <summary>The tensors inside the buffers, in order.</summary>
    IReadOnlyList<ParameterEntry> Tensors { get; }

    /// <summary>Floats in each buffer, gaps included.</summary>
    long Length { get; }

    /// <summary>Trained elements, gaps not counted.</summary>
    long Count => Tensors.Sum(tensor => tensor.Count);

    /// <summary>Sets every gradient to 0.</summary>
    void ClearGradients();

    /// <summary>Replaces the gradients by their sum over all ranks, and the numbers that ride along by theirs.</summary>
    void SumGradients(ICollective ranks, Span<double> riders);

    /// <summary>The Euclidean norm of all gradients; NaN or infinite where one is.</summary>
    double GradientNorm();

    /// <summary>Whether no value is NaN or infinite.</summary>
    bool AreValuesFinite() => NonFinitePlace.In(HostValues(), Tensors, "weight") is null;

    /// <summary>Lets the optimizer update every value.</summary>
    void Step(IOptimizer optimizer, in OptimizerStep step);

    /// <summary>All values in this process's memory, to be read before the next change.</summary>
    ReadOnlyLongSpan<float> HostValues();

    /// <summary>All gradients in this process's memory, to be read before the next change.</summary>
    ReadOnlyLongSpan<float> HostGradients();

    /// <summary>Replaces values.</summary>
    /// <param name="begin">The first one.</param>
    /// <param name="values">What it and those behind it become.</param>
    void Write(long begin, ReadOnlyLongSpan<float> values);
}
