namespace Trainer.Models.Config;

/// <summary>Multimodal models whose text model is computed.</summary>
internal static class WrapperTable
{
    private static readonly string[] Towers = ["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."];
    private static readonly string[] Embedders = ["model.embed_vision.", "model.embed_audio.", "model.audio_tower."];
    private static readonly string[] Visual = ["visual.", "model.visual."];

    /// <summary>model_type to the model around the text model.</summary>
    public static IReadOnlyDictionary<string, Wrapper> Wrappers { get; } = new Dictionary<string, Wrapper>(StringComparer.Ordinal)
    {
        ["gemma3"] = new("gemma3_text", true, Towers),
        ["gemma3n"] = new("gemma3n_text", true, [.. Towers, .. Embedders]),
        ["gemma4"] = new("gemma4_text", true, [.. Towers, .. Embedders]),
        ["mistral3"] = new("mistral", true, Towers),
        ["llava"] = new("llama", false, Towers),
        ["llava_next"] = new("llama", false, [.. Towers, "image_newline", "model.image_newline"]),
        ["qwen2_vl"] = new("qwen2_vl_text", false, Visual) { MayBeFlat = true },
        ["qwen2_5_vl"] = new("qwen2_5_vl_text", false, Visual) { MayBeFlat = true },
        ["qwen3_5"] = new("qwen3_5_text", false, Visual),
        ["qwen3_5_moe"] = new("qwen3_5_moe_text", false, Visual),
        ["qwen3_vl"] = new("qwen3_vl_text", false, Visual),
        ["qwen3_vl_moe"] = new("qwen3_vl_moe_text", false, Visual),
    };
}
