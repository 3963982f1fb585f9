using TorchSharp;

namespace Trainer.Engine;

/// <summary>A small tensor of a layer that is never trained: a router, a decay, a convolution's taps.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Value">Its values, float32, on the model's device. Owned by the model.</param>
public sealed record ParameterModule(string Name, torch.Tensor Value);
