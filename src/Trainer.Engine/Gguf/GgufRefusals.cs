using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>What llama.cpp fixes in its code for a family and a config.json may say otherwise: such a model would load and compute something else.</summary>
internal static class GgufRefusals
{
    /// <summary>Why llama.cpp would compute something else, or null.</summary>
    public static string? Of(ModelConfig config) => config.ModelType switch
    {
        "qwen3_5_text" or "qwen3_5_moe_text" or "qwen3_next" => Delta(config),
        "gemma4_text" => Gemma4(config),
        "gpt_oss" => GptOss(config),
        "qwen3_moe" or "qwen3_vl_moe_text" or "qwen2_moe" or "olmoe" or "mixtral" when Mixture(config) is { } mixture => mixture,
        "gemma" => Gemma(config),
        "gemma2" => Gemma(config) ?? Gemma2(config),
        "gemma3" or "gemma3_text" => Gemma(config) ?? Gemma3(config),
        _ when GgufFamilyRefusals.Of(config) is { } own => own,
        "arcee" or "nemotron" or "starcoder2" or "phi" or "apertus" or "gemma3n_text" or "nemotron_h" => null,
        _ when config.Activation != Activation.Silu => $"its activation is {config.Activation}, llama.cpp computes SiLU",
        "granite" when config.HeadSize * config.Heads != config.HiddenSize =>
            "its heads are not as wide as the model, which llama.cpp's granite has no key for",
        "smollm3" => SmolLm3(config),
        _ => null,
    } ?? Rope(config);

    /// <summary>Layers of Gemma 3n with keys and values of their own, layers whose activations are cut, and how many of these are: fixed there.</summary>
    public const int StreamSources = 20, SparseStreamLayers = 10;

    /// <summary>The share that is cut.</summary>
    public const double StreamSparsity = 0.95;

    /// <summary>Of which so many layers the last attends, or null where no number says it.</summary>
    public static int? Interval(ModelConfig config)
    {
        var attends = config.Layers.Select(layer => layer.Mixer is SelfAttention).ToList();
        if (attends.IndexOf(true) is not (>= 0 and var first)) return null;
        for (var l = 0; l < attends.Count; l++)
            if (attends[l] != ((l + 1) % (first + 1) == 0)) return null;
        return first + 1;
    }

    private static string? Mixture(ModelConfig config)
    {
        if (config.Layers.Any(layer => layer.FeedForward is not ExpertFeedForward)) return "some of its layers have no experts, llama.cpp has them in all";
        var normalizes = config.ModelType is "qwen3_moe" or "qwen3_vl_moe_text" or "mixtral";
        if (((ExpertFeedForward)config.Layers[0].FeedForward).Router.IsNormalized != normalizes)
            return $"its norm_topk_prob is {(normalizes ? "false" : "true")}, which llama.cpp takes for {(normalizes ? "true" : "false")}";
        if (config.Attention!.Clip is not null) return "it has clip_qkv, which llama.cpp's olmoe does not apply";
        return config.ModelType is "qwen3_moe" or "qwen3_vl_moe_text" && config.QkvBias ? "it has biases, llama.cpp has none for the family" : null;
    }

    private static string? Delta(ModelConfig config)
    {
        var deltas = config.Layers.Select(layer => layer.Mixer).OfType<GatedDelta>().ToList();
        if (deltas.Count == 0 || Interval(config) is null) return "its layers of the two kinds do not follow each other at one interval";
        if (deltas[0].KeySize != deltas[0].ValueSize)
            return $"its keys have {deltas[0].KeySize} elements and its values {deltas[0].ValueSize}, llama.cpp has one size for both";
        if (deltas[0].IsPacked && config.Layers.Any(layer => layer.FeedForward is not ExpertFeedForward { Router.IsNormalized: true }))
            return "some of its layers have no experts or do not divide their scores by the sum, llama.cpp's qwen3next does both in all";
        return config.QkvBias || config.OutputBias ? "it has biases, llama.cpp's qwen35 has none" : null;
    }

    private static string? Gemma4(ModelConfig config)
    {
        if (!config.TiedEmbeddings) return "it has a head of its own, llama.cpp takes the embedding";
        if (config.QkvBias || config.OutputBias) return "it has biases, llama.cpp's gemma4 has none";
        if (config.LogitSoftCap is null) return "it has no soft cap on its logits, llama.cpp applies one";
        if (config.Activation != Activation.GeluTanh) return $"its activation is {config.Activation}, llama.cpp computes the tanh form of GELU";
        if (config.PerLayerInput?.VocabularySize > config.VocabularySize) return "its second table of tokens has more rows than the first";
        return config.Ropes is [{ Kind: RopeKind.Proportional }, { Kind: RopeKind.Default }]
            ? null : "it rotates otherwise than in full layers proportionally and in sliding ones plainly";
    }

    private static string? GptOss(ModelConfig config)
    {
        if (!config.QkvBias) return "it has no biases, llama.cpp's gpt-oss has them";
        return Windows(config, layer => layer % 2 == 0, "every other layer");
    }

    private static string? Gemma(ModelConfig config)
    {
        if (!config.TiedEmbeddings) return "it has a head of its own, llama.cpp takes the embedding";
        if (config.QkvBias || config.OutputBias) return "it has biases, llama.cpp's gemma has none";
        return config.Activation == Activation.GeluTanh ? null : $"its activation is {config.Activation}, llama.cpp computes the tanh form of GELU";
    }

    private static string? Gemma2(ModelConfig config)
    {
        if (config.AttentionSoftCap is null || config.LogitSoftCap is null) return "it lacks a soft cap, llama.cpp applies two";
        return Scale(config, 46) ?? Windows(config, layer => layer % 2 == 0, "every other layer");
    }

    private static string? Gemma3(ModelConfig config)
    {
        if (config.AttentionSoftCap is not null) return "it has a soft cap on attention, llama.cpp applies none";
        if (config.Ropes is not [_, { Kind: RopeKind.Default, Theta: 10_000 }]) return "its local layers rotate with a base other than 10000";
        return Scale(config, 62) ?? Windows(config, layer => (layer + 1) % 6 != 0, "five of six layers");
    }

    // Of the largest model of either generation llama.cpp scales by the width over the heads, of the others by the head; it tells them by their layers.
    private static string? Scale(ModelConfig config, int layersOfLargest)
    {
        var width = config.LayerCount == layersOfLargest ? (double)config.HiddenSize / config.Heads : config.HeadSize;
        return Math.Abs(config.AttentionScale * Math.Sqrt(width) - 1) < 1e-6 ? null : $"its query_pre_attn_scalar is not {width}, which llama.cpp takes";
    }

    /// <summary>A layer whose window is not where llama.cpp has one, or null.</summary>
    public static string? Windows(ModelConfig config, Func<int, bool> isSliding, string which)
    {
        for (var layer = 0; layer < config.LayerCount; layer++)
            if (config.Layers[layer].SlidingWindow is not null != isSliding(layer))
                return $"its layer {layer} is {(isSliding(layer) ? "global" : "sliding")}, llama.cpp slides {which}";
        return null;
    }

    private static string? SmolLm3(ModelConfig config)
    {
        for (var layer = 0; layer < config.LayerCount; layer++)
            if (config.Layers[layer].Rope >= 0 != ((layer + 1) % 4 != 0))
                return $"its layer {layer} {(config.Layers[layer].Rope >= 0 ? "has" : "lacks")} the rotary embedding, llama.cpp leaves it out of every fourth "
                    + "layer alone";
        return null;
    }

    private static string? Rope(ModelConfig config)
    {
        var rope = config.Ropes[0];
        var isKnown = rope.Kind switch
        {
            RopeKind.Default => true,
            RopeKind.Linear => config.ModelType is not "phi3",
            RopeKind.Llama3 => config.ModelType is "llama" or "mistral" or "exaone4" or "apertus" or "llama4_text",
            RopeKind.Proportional => config.ModelType is "gemma4_text",
            RopeKind.Yarn when config.ModelType is "gpt_oss" => rope is { AttentionFactor: null, Mscale: null, BetaFast: 32, BetaSlow: 1 },
            RopeKind.Yarn when config.ModelType is "ministral3" => rope is { AttentionFactor: null, Truncate: true }
                && (rope.MscaleAllDimensions is null ? rope.Mscale is null : rope.Mscale == 1),
            RopeKind.Yarn when config.ModelType is "deepseek_v3" or "glm4_moe_lite" => rope is { AttentionFactor: null, Truncate: true,
                MscaleAllDimensions: { } share } && rope.Mscale == share,
            // llama.cpp multiplies by the magnitude that follows from the factor.
            RopeKind.Yarn when config.ModelType is "olmo3" => rope is { Mscale: null, BetaFast: 32, BetaSlow: 1, Truncate: true, Factor: { } factor }
                && (rope.AttentionFactor is not { } given || Math.Abs(given - (0.1 * Math.Log(factor) + 1)) < 1e-6),
            RopeKind.Yarn => config.ModelType is "llama" or "mistral" or "qwen2" or "qwen3" or "arcee"
                && rope is { AttentionFactor: null, Mscale: null, BetaFast: 32, BetaSlow: 1, Truncate: true },
            RopeKind.LongRope => config.ModelType is "phi3",
            _ => false,
        };
        return isKnown ? null : $"it scales its rotary embedding as '{rope.Kind}', which is not written as GGUF here";
    }
}
