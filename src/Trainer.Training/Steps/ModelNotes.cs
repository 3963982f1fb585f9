using System.Globalization;
using Trainer.Engine;
using Trainer.Models.Drawing;

namespace Trainer.Training;

/// <summary>What a user should know of a model of several towers or of experts before it is trained.</summary>
internal static class ModelNotes
{
    public static IEnumerable<string> Of(CausalModel model)
    {
        if (model.IgnoredTensors.Count > 0)
        {
            var towers = model.IgnoredTensors.Select(Tower).Distinct().Order(StringComparer.Ordinal);
            yield return string.Create(CultureInfo.InvariantCulture, $"{model.IgnoredTensors.Count} tensors of the folder are not used by text: {string.Join(", ", towers)}");
        }
        if (!model.Experts.Any()) yield break;
        long all = model.Adapter.ParameterCount, experts = model.Adapter.Modules.Where(trained => trained.Module.Kind == ModuleKind.Experts).SelectMany(trained => trained.Tensors)
            .Sum(tensor => tensor.Shape.Aggregate(1L, (product, side) => product * side));
        yield return experts == 0
            ? "experts and routers are frozen: the adapter trains what all tokens pass; to adapt experts too, name them with --target-parameters"
            : string.Create(CultureInfo.InvariantCulture, $"{100.0 * experts / all:0} % of the trained parameters are on experts; routers are frozen");
    }

    // The module at the top, or below the model's own.
    private static string Tower(string tensor)
    {
        var parts = tensor.Split('.');
        return parts[0] == "model" ? string.Join('.', parts[..Math.Min(2, parts.Length)]) : parts[0];
    }
}
