using TorchSharp;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Layers;

/// <summary>What the parts of a layer ask of the visit they are computed in: products with adapters, norms, and who listens.</summary>
internal interface ILayerMath
{
    /// <summary>The values of what is trained.</summary>
    ParameterBuffer Parameters { get; }

    /// <summary>Whether adapters and trained copies count.</summary>
    bool AdaptersEnabled { get; }

    /// <summary>Module path of a layer.</summary>
    string LayerName(int layer);

    /// <summary>A linear with its adapter on [T, in].</summary>
    torch.Tensor Linear(LinearModule linear, torch.Tensor x, StepKey? key);

    /// <summary>The product with a frozen matrix on [T, in].</summary>
    torch.Tensor Frozen(IFrozenWeight weight, torch.Tensor x);

    /// <summary>A norm over the last dimension; null passes on.</summary>
    torch.Tensor Norm(NormModule? norm, torch.Tensor x);

    /// <summary>A norm's weight, trained or frozen.</summary>
    torch.Tensor Weight(NormModule norm);

    /// <summary>Tells the output of a module to whoever listens.</summary>
    torch.Tensor Told(string name, torch.Tensor output);
}
