using TorchSharp;

namespace Trainer.Training.Optimizers;

/// <summary>An optimizer that also works where values and gradients live, so that they need not come to the host.</summary>
internal interface IDeviceOptimizer : IOptimizer
{
    /// <summary>Updates every value once, on the device.</summary>
    /// <param name="values">All values, float32, flat.</param>
    /// <param name="gradients">Their gradients, laid out alike; left as they are.</param>
    /// <param name="step">The step's numbers.</param>
    void Step(torch.Tensor values, torch.Tensor gradients, in OptimizerStep step);
}
