using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>Modules beside the layers that most families lack: what makes small inputs for each layer, what makes several streams of one and one of
/// several.</summary>
internal static class EndsBlueprint
{
    public static IEnumerable<ModuleBlueprint> Of(ModelConfig config)
    {
        var path = new LayerPath(config.TextPath, -1, config.HiddenSize);
        for (var i = 0; i < config.Streams?.Count - 1; i++) yield return path.Linear($"altup_projections.{i}", config.HiddenSize, config.HiddenSize);
        for (var i = 0; i < config.Streams?.Count - 1; i++) yield return path.Linear($"altup_unembed_projections.{i}", config.HiddenSize, config.HiddenSize);
        if (config.PerLayerInput is not { } small) yield break;
        var all = (long)config.LayerCount * small.Size;
        yield return path.Table("embed_tokens_per_layer", small.VocabularySize, all);
        yield return path.Linear("per_layer_model_projection", all, config.HiddenSize);
        yield return path.Norm("per_layer_projection_norm", ModuleRole.Part, config.Norm, small.Size);
    }
}
