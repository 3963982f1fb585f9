using TorchSharp;
using Trainer.Models.Parts;

namespace Trainer.Engine;

/// <summary>One norm's weight, and its bias where it has one.</summary>
public sealed class NormModule
{
    internal NormModule(ModuleBlueprint blueprint, torch.Tensor weight, torch.Tensor? bias)
    {
        Blueprint = blueprint;
        Weight = weight;
        Bias = bias;
    }

    /// <summary>What it is.</summary>
    public ModuleBlueprint Blueprint { get; }

    /// <summary>Module path, e.g. <c>model.layers.0.input_layernorm</c>.</summary>
    public string Name => Blueprint.Path;

    /// <summary>The frozen weight, float32 [width], or [heads, head size] where each head has its own, as stored (without the family's +1). Owned by the
    /// model.</summary>
    public torch.Tensor Weight { get; }

    /// <summary>The frozen bias of the weight's shape, float32, or null. Owned by the model.</summary>
    public torch.Tensor? Bias { get; }

    /// <summary>A trained copy which replaces <see cref="Weight"/>, or null.</summary>
    public ParameterEntry? Trained { get; internal set; }

    /// <summary>A trained copy which replaces <see cref="Bias"/>, or null.</summary>
    public ParameterEntry? TrainedBias { get; internal set; }
}
