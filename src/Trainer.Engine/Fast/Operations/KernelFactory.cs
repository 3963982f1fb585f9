using Trainer.Engine.Fast.Cpu;
using Trainer.Models;

namespace Trainer.Engine.Fast.Operations;

/// <summary>Makes kernels for one model.</summary>
/// <param name="shape">The model's sizes and constants.</param>
/// <param name="compute">Type of the frozen products.</param>
/// <param name="panels">How frozen matrices are cut.</param>
internal delegate IKernels KernelFactory(FastShape shape, ComputeKind compute, PanelPlan panels);
