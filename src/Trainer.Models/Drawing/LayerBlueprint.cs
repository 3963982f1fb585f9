using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>The modules of one layer, part by part.</summary>
internal static class LayerBlueprint
{
    /// <summary>The linears of mixer and feed-forward block in the order PEFT visits them, the norms of the stream, those inside the parts, and what else the
    /// parts hold.</summary>
    public static IReadOnlyList<ModuleBlueprint> Of(ModelConfig config, int layer)
    {
        var (parts, path) = (config.Layers[layer], new LayerPath($"{config.TextPath}.layers.{layer}", layer, config.HiddenSize));
        List<ModuleBlueprint> drawn = [.. parts.Mixer.Draw(path), .. parts.FeedForward.Draw(path), .. PerLayer(config, path), .. Streams(config, path)];
        if (parts.HasScalar) drawn.Add(path.Parameter("layer_scalar", 1));
        return
        [
            .. drawn.Where(module => module.Kind == ModuleKind.Linear),
            .. Norms(config, parts.Norms, path),
            .. drawn.Where(module => module.Kind == ModuleKind.Norm),
            .. drawn.Where(module => module.Kind is not (ModuleKind.Linear or ModuleKind.Norm)),
        ];
    }

    private static IEnumerable<ModuleBlueprint> PerLayer(ModelConfig config, LayerPath path)
    {
        if (config.PerLayerInput is not { } small) yield break;
        yield return path.Linear("per_layer_input_gate", small.Size, config.HiddenSize);
        yield return path.Linear("per_layer_projection", config.HiddenSize, small.Size);
        yield return path.Norm("post_per_layer_input_norm", ModuleRole.Part, config.Norm, config.HiddenSize);
    }

    private static IEnumerable<ModuleBlueprint> Streams(ModelConfig config, LayerPath path)
    {
        if (config.Streams is not { } streams) yield break;
        long count = streams.Count, hidden = config.HiddenSize;
        yield return path.Linear("altup.correction_coefs", count, count);
        yield return path.Linear("altup.prediction_coefs", count * count, count);
        yield return path.Linear("altup.modality_router", count, hidden);
        yield return path.Linear("laurel.linear_left", streams.LaurelRank, hidden);
        yield return path.Linear("laurel.linear_right", hidden, streams.LaurelRank);
        yield return path.Norm("altup.router_norm", ModuleRole.Part, config.Norm, hidden);
        yield return path.Norm("laurel.post_laurel_norm", ModuleRole.Part, config.Norm, hidden);
        if (streams.ScalesCorrected) yield return path.Parameter("altup.correct_output_scale", hidden);
    }

    private static IEnumerable<ModuleBlueprint> Norms(ModelConfig config, LayerNorms names, LayerPath path)
    {
        (string? Name, ModuleRole Role)[] blocks =
        [
            (names.BeforeAttention, ModuleRole.BeforeAttention), (names.AfterAttention, ModuleRole.AfterAttention),
            (names.BeforeMlp, ModuleRole.BeforeMlp), (names.AfterMlp, ModuleRole.AfterMlp),
        ];
        foreach (var (name, role) in blocks)
            if (name is not null) yield return path.Norm(name, role, config.Norm, config.HiddenSize);
    }
}
