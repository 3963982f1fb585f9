using System.Globalization;
using Trainer.Models.Parts;

namespace Trainer.Models.Config;

/// <summary>
/// Names of tensors and modules of a text model, which stand in files under several prefixes: <c>model.X</c> alone, <c>language_model.model.X</c> in multimodal
/// folders of transformers 4, <c>model.language_model.X</c> in those of transformers 5, <c>backbone.X</c> in those of Nemotron-H.
/// </summary>
public static class TensorNames
{
    private const string Bare = "model.";
    private static readonly string[] Prefixes = ["language_model.model.", "model.language_model.", "backbone.", Bare];

    // Towers beside the text model; newer files have them inside the model's module.
    private static readonly string[] Towers = ["vision_tower.", "multi_modal_projector.", "visual.", "audio_tower.", "embed_vision.", "embed_audio."];

    /// <summary>The name that a text model of its own has for a tensor or module, <c>model.X</c> or <c>lm_head</c>; other towers' without <c>model.</c> in
    /// front.</summary>
    /// <param name="name">Name under any prefix.</param>
    public static string OfTextModel(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.StartsWith("language_model.lm_head", StringComparison.Ordinal)) return name["language_model.".Length..];
        foreach (var prefix in Prefixes)
        {
            if (!name.StartsWith(prefix, StringComparison.Ordinal)) continue;
            var rest = name[prefix.Length..];
            // The oldest files of Nemotron-H.
            if (prefix == "backbone." && rest.StartsWith("embedding.", StringComparison.Ordinal)) rest = "embeddings." + rest["embedding.".Length..];
            return Array.Exists(Towers, tower => rest.StartsWith(tower, StringComparison.Ordinal)) ? rest : Bare + rest;
        }
        return name;
    }

    internal static string? InTree(ModelConfig config, string stored)
    {
        if (config.IgnoredTensors.Any(prefix => stored.StartsWith(prefix, StringComparison.Ordinal))) return null;
        var bare = OfTextModel(stored);
        if (IsExtraLayer(config, bare) || IsUnusedKey(config, bare)) return null;
        return bare.StartsWith(Bare, StringComparison.Ordinal) ? $"{config.TextPath}.{bare[Bare.Length..]}" : bare;
    }

    // A layer that uses another's keys and values may have its own in the folder all the same.
    private static bool IsUnusedKey(ModelConfig config, string bare)
    {
        var parts = bare.Split('.');
        return parts is ["model", "layers", var number, "self_attn", "k_proj" or "v_proj" or "k_norm", ..]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var layer) && layer < config.LayerCount
            && config.Layers[layer].Mixer is SelfAttention { KeysOfLayer: not null };
    }

    // Layers that predict further tokens lie behind the last one, as one layer more.
    private static bool IsExtraLayer(ModelConfig config, string bare)
    {
        const string Layers = "model.layers.";
        if (!config.HasExtraLayers || !bare.StartsWith(Layers, StringComparison.Ordinal)) return false;
        var number = bare.AsSpan(Layers.Length);
        var end = number.IndexOf('.');
        return end > 0 && int.TryParse(number[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var layer) && layer >= config.LayerCount;
    }
}
