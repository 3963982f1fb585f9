using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>A module of which something is trained: a low-rank update, or copies of its tensors.</summary>
/// <param name="Module">The module.</param>
public sealed record TrainedModule(ModuleBlueprint Module)
{
    /// <summary>The low-rank update, or null.</summary>
    public LowRankUpdate? Update { get; init; }

    /// <summary>Updates of experts' matrices; empty of other modules.</summary>
    public IReadOnlyList<ExpertUpdate> Experts { get; init; } = [];

    /// <summary>Name of a trained copy of the whole weight, or null.</summary>
    public string? Weight { get; init; }

    /// <summary>Name of a trained copy of the bias, or null.</summary>
    public string? Bias { get; init; }

    /// <summary>Name of the trained rows of some tokens, or null.</summary>
    public string? Rows { get; init; }

    /// <summary>The tokens of those rows, in their order.</summary>
    public IReadOnlyList<int> RowIds { get; init; } = [];

    /// <summary>Its tensors in the order of the parameter buffer.</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors
    {
        get
        {
            foreach (var tensor in Update?.Tensors ?? []) yield return tensor;
            foreach (var tensor in Experts.SelectMany(one => one.Update.Tensors)) yield return tensor;
            if (Weight is not null) yield return (Weight, Module.Shape);
            if (Bias is not null) yield return (Bias, [Module.Rows]);
            if (Rows is not null) yield return (Rows, [RowIds.Count, Module.Columns]);
        }
    }
}
