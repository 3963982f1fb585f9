using TorchSharp;
using Trainer.Models.Drawing;

namespace Trainer.Engine;

/// <summary>The frozen matrices of a block's experts, each held by itself, with perhaps an adapter.</summary>
public sealed class ExpertsModule
{
    internal ExpertsModule(ModuleBlueprint blueprint, IReadOnlyList<Expert> experts)
    {
        Blueprint = blueprint;
        Experts = experts;
    }

    /// <summary>What it is.</summary>
    public ModuleBlueprint Blueprint { get; }

    /// <summary>Module path, e.g. <c>model.layers.0.mlp.experts</c>.</summary>
    public string Name => Blueprint.Path;

    /// <summary>Zero-based layer.</summary>
    public int Layer => Blueprint.Layer;

    /// <summary>The experts, in order.</summary>
    public IReadOnlyList<Expert> Experts { get; }

    /// <summary>An adapter on gates and ups of all experts, or null.</summary>
    public ExpertAdapter? GateUpAdapter { get; set; }

    /// <summary>An adapter on downs of all experts, or null.</summary>
    public ExpertAdapter? DownAdapter { get; set; }

    /// <summary>Whether anything of it is trained.</summary>
    public bool IsTrained => GateUpAdapter is not null || DownAdapter is not null || Experts.Any(expert => expert.IsTrained);
}
