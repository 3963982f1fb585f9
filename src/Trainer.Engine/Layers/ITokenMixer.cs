using TorchSharp;
using Trainer.Engine.Reference;

namespace Trainer.Engine.Layers;

/// <summary>Carries information from token to token, within segments.</summary>
internal interface ITokenMixer
{
    /// <summary>The mixer's output [T, hidden] of its normed input [T, hidden].</summary>
    torch.Tensor Mix(ILayerMath pass, torch.Tensor x, BatchContext context);
}
