using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast;

/// <summary>Where the trained tensors and their gradients lie.</summary>
internal sealed class FastParameters(ParameterBuffer buffer, IKernels kernels)
{
    private readonly Place _values = kernels.Of(buffer.Values);
    private readonly Place _gradients = kernels.Of(buffer.Gradients);

    public Place Values(ParameterEntry entry) => _values + entry.Offset;

    public Place Gradients(ParameterEntry entry) => _gradients + entry.Offset;
}
