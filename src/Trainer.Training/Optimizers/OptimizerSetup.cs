using Trainer.Engine;

namespace Trainer.Training.Optimizers;

/// <summary>What an optimizer is made for.</summary>
/// <param name="Tensors">The trained tensors, in buffer order.</param>
/// <param name="Length">Floats in the parameter buffer, the gaps between tensors included.</param>
/// <param name="Groups">Runs of the buffer that share a learning rate.</param>
/// <param name="Options">The run's options.</param>
/// <param name="Arguments">What this optimizer alone reads.</param>
internal sealed record OptimizerSetup(
    IReadOnlyList<ParameterEntry> Tensors, long Length, IReadOnlyList<ParameterGroup> Groups, TrainingOptions Options, Arguments Arguments)
{
    /// <summary>What a tensor's group multiplies the learning rate by.</summary>
    public double Factor(ParameterEntry tensor) => Groups.First(group => tensor.Offset >= group.Begin && tensor.Offset < group.Begin + group.Count).RateFactor;
}
