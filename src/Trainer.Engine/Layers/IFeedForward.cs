using TorchSharp;
using Trainer.Engine.Reference;

namespace Trainer.Engine.Layers;

/// <summary>Computes each token for itself.</summary>
internal interface IFeedForward
{
    /// <summary>The block's output [T, hidden] of its normed input [T, hidden].</summary>
    torch.Tensor Forward(ILayerMath pass, torch.Tensor x, BatchContext context);
}
