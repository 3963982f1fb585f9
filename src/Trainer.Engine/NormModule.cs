using TorchSharp;

namespace Trainer.Engine;

/// <summary>One root-mean-square norm's weight.</summary>
public sealed class NormModule
{
    internal NormModule(ModuleBlueprint blueprint, torch.Tensor weight)
    {
        Blueprint = blueprint;
        Weight = weight;
    }

    /// <summary>What it is.</summary>
    public ModuleBlueprint Blueprint { get; }

    /// <summary>Module path, e.g. <c>model.layers.0.input_layernorm</c>.</summary>
    public string Name => Blueprint.Path;

    /// <summary>The frozen weight, float32 [width], as stored (without the family's +1). Owned by the model.</summary>
    public torch.Tensor Weight { get; }

    /// <summary>A trained copy which replaces <see cref="Weight"/>, or null.</summary>
    public ParameterEntry? Trained { get; internal set; }
}
