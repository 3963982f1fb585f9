namespace Trainer.Models.Parts;

/// <summary>Where the modules of a layer lie: parts draw theirs below it.</summary>
/// <param name="Path">Module path of the layer.</param>
/// <param name="Layer">Zero-based.</param>
/// <param name="Hidden">Width of the residual stream.</param>
internal readonly record struct LayerPath(string Path, int Layer, int Hidden)
{
    public ModuleBlueprint Linear(string name, ModuleRole role, long rows, long columns, bool bias = false)
        => new($"{Path}.{name}", ModuleKind.Linear, role, Layer, rows, columns, bias);

    /// <summary>A linear that its part alone knows.</summary>
    public ModuleBlueprint Linear(string name, long rows, long columns, bool bias = false) => Linear(name, ModuleRole.Part, rows, columns, bias);

    public ModuleBlueprint Norm(string name, ModuleRole role, NormConfig norm, long rows, long columns = 1)
        => new($"{Path}.{name}", ModuleKind.Norm, role, Layer, rows, columns, norm.HasBias) { Norm = norm };

    /// <summary>A table with a row for each token.</summary>
    public ModuleBlueprint Table(string name, long rows, long columns) => new($"{Path}.{name}", ModuleKind.Embedding, ModuleRole.Part, Layer, rows, columns);

    public ModuleBlueprint Parameter(string name, params long[] shape) =>
        new($"{Path}.{name}", ModuleKind.Parameter, ModuleRole.Part, Layer, shape.Aggregate(1L, (product, side) => product * side),
        1) { ParameterShape = shape };

    public ModuleBlueprint Experts(string name, ExpertFeedForward experts) =>
        new($"{Path}.{name}", ModuleKind.Experts, ModuleRole.Part, Layer, experts.Experts,
        ((long)experts.InnerRows + experts.Width) * (experts.LatentWidth ?? Hidden)) { Experts = experts, ExpertColumns = experts.LatentWidth ?? Hidden };
}
