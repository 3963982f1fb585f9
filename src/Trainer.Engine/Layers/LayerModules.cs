using Trainer.Engine.Weights;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers;

/// <summary>The loaded modules of one layer, found by their paths below it.</summary>
/// <param name="Path">Module path of the layer.</param>
/// <param name="Linears">In the order PEFT visits them.</param>
/// <param name="Norms">Those of the stream first.</param>
/// <param name="Parameters">Small tensors that are never trained.</param>
/// <param name="Experts">The matrices of its experts, or null.</param>
internal sealed record LayerModules(string Path, IReadOnlyList<LinearModule> Linears, IReadOnlyList<NormModule> Norms,
    IReadOnlyList<ParameterModule> Parameters, ExpertsModule? Experts)
{
    /// <summary>Tables with a row for each token, by name.</summary>
    public IReadOnlyDictionary<string, IFrozenWeight> Tables { get; init; } = new Dictionary<string, IFrozenWeight>();

    /// <summary>A table that must be there.</summary>
    public IFrozenWeight Table(string name) => Tables[$"{Path}.{name}"];

    /// <summary>The linear of a role, or null.</summary>
    public LinearModule? Linear(ModuleRole role) => Linears.FirstOrDefault(one => one.Blueprint.Role == role);

    /// <summary>The norm of a role, or null.</summary>
    public NormModule? Norm(ModuleRole role) => Norms.FirstOrDefault(one => one.Blueprint.Role == role);

    /// <summary>A linear that the layer must have.</summary>
    public LinearModule Linear(string name) => Linears.First(one => one.Name == $"{Path}.{name}");

    /// <summary>A norm that the layer must have.</summary>
    public NormModule Norm(string name) => Norms.First(one => one.Name == $"{Path}.{name}");

    /// <summary>A parameter that the layer must have.</summary>
    public Tensor Parameter(string name) => Parameters.First(one => one.Name == $"{Path}.{name}").Value;
}
