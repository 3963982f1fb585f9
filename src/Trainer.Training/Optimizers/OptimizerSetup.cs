using Trainer.Engine;

namespace Trainer.Training.Optimizers;

/// <summary>What an optimizer is made for.</summary>
/// <param name="Tensors">The trained tensors, in buffer order.</param>
/// <param name="Length">Floats in the parameter buffer, the gaps between tensors included.</param>
/// <param name="Groups">Runs of the buffer that share a learning rate.</param>
/// <param name="Options">The run's options.</param>
internal sealed record OptimizerSetup(IReadOnlyList<ParameterEntry> Tensors, int Length, IReadOnlyList<ParameterGroup> Groups, TrainingOptions Options)
{
    /// <summary>The setup of a run.</summary>
    /// <param name="parameters">What is trained.</param>
    /// <param name="options">The run's options.</param>
    public static OptimizerSetup Of(IParameterStore parameters, TrainingOptions options) =>
        new(parameters.Tensors, parameters.Length, ParameterGroups.Of(parameters.Tensors, options.Lora.LoraPlusRatio, options.LearningRate), options);
}
