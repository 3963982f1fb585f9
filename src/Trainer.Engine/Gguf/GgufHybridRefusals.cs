using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>What llama.cpp fixes for state-space mixers, latent attention, Llama 4 and Gemma 3n.</summary>
internal static class GgufHybridRefusals
{
    /// <summary>Why llama.cpp would compute something else, or null.</summary>
    public static string? Of(ModelConfig config) => config.ModelType switch
    {
        "deepseek_v3" or "glm4_moe_lite" => Latent(config),
        "granitemoe" => Plain(config),
        "granitemoehybrid" => Plain(config) ?? Mamba(config),
        "falcon_h1" => Plain(config) ?? Mamba(config),
        "nemotron_h" => NemotronH(config) ?? Mamba(config),
        "llama4_text" => Llama4(config),
        "lfm2_moe" => Lfm2(config),
        "gemma3n_text" => Gemma3n(config),
        _ => null,
    };

    private static string? Plain(ModelConfig config)
        => config.QkvBias || config.OutputBias || config.MlpBias ? "it has biases in attention or feed-forward, which are not written here" : null;

    private static string? Mamba(ModelConfig config)
    {
        var mamba = config.Layers.Select(layer => layer.Mixer is SideBySide both ? both.Mamba : layer.Mixer as Mamba2).FirstOrDefault(one => one is not null);
        if (mamba is null) return null;
        if (mamba.InputBias || mamba.OutputBias) return "its state-space projections have biases, llama.cpp's have none";
        if (!mamba.ConvolutionBias) return "its convolution has no bias, llama.cpp adds one";
        if (mamba.LeastStep > 0 || double.IsFinite(mamba.LargestStep)) return "it bounds its steps of time (time_step_limit), llama.cpp does not";
        if (mamba.ResultNorm is null) return config.ModelType == "falcon_h1" ? null : "it does not norm its state-space result, llama.cpp does";
        if (mamba.NormsBeforeGate) return "it norms its state-space result before the gate, llama.cpp behind it";
        return mamba.NormGroups == mamba.Groups ? null
            : $"it norms {mamba.NormGroups} parts of its state-space result, llama.cpp one for each of {mamba.Groups} groups";
    }

    private static string? NemotronH(ModelConfig config)
    {
        if (Plain(config) is { } biases) return biases;
        foreach (var block in config.Layers.Select(layer => layer.FeedForward))
        {
            var activation = (block as DenseFeedForward)?.Activation ?? (block as ExpertFeedForward)?.Activation ?? Activation.ReluSquared;
            if (activation != Activation.ReluSquared) return $"its activation is {activation}, llama.cpp computes {Activation.ReluSquared}";
        }
        if (config.Experts is null) return null;
        if (config.FeedForward is not null) return "it has dense blocks beside those of experts, llama.cpp has one kind";
        if (config.Experts.LatentBias) return "its projections around experts have biases, llama.cpp's have none";
        return config.Experts.Router.Groups > 1 ? "its experts are in groups, llama.cpp's nemotron_h_moe chooses among all" : null;
    }

    private static string? Latent(ModelConfig config)
    {
        var latent = (LatentAttention)config.Layers[0].Mixer;
        if (latent.HasBias) return "its attention has biases, llama.cpp's deepseek2 has none";
        if (!config.Ropes[0].IsInterleaved) return "it rotates halves of a head, llama.cpp's deepseek2 rotates neighbours";
        var dense = config.Layers.TakeWhile(layer => layer.FeedForward is DenseFeedForward).Count();
        if (config.Experts is not { } experts || config.Layers.Skip(dense).Any(layer => layer.FeedForward is not ExpertFeedForward))
            return "its layers with experts do not follow the dense ones";
        return experts.Shared!.Width % experts.Width == 0 ? null : "the width of its block for all tokens is no multiple of an expert's";
    }

    private static string? Llama4(ModelConfig config)
    {
        const int Chunk = 8192, Period = 4, LargestModel = 128;
        if (config.Experts is not { } experts) return "it has no experts, llama.cpp's llama4 has some";
        if (config.QkvBias || config.OutputBias) return "its attention has biases, llama.cpp's llama4 has none";
        if (experts.Width != experts.Shared!.Width) return "its block for all tokens is not as wide as an expert";
        var step = config.Layers.Select(layer => layer.FeedForward is ExpertFeedForward).ToList().IndexOf(true) + 1;
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            var (attention, isRotated) = ((SelfAttention)config.Layers[layer].Mixer, (layer + 1) % Period != 0);
            if (attention.Rope >= 0 != isRotated)
                return $"its layer {layer} {(isRotated ? "lacks" : "has")} the rotary embedding, llama.cpp leaves out every fourth";
            if (attention.Chunk != (isRotated ? Chunk : null))
                return $"its layer {layer} does not attend in blocks of {Chunk} where it is rotated, and to all where not";
            if (attention.QkNorm == QkNorm.Unit != (experts.Experts != LargestModel))
                return $"it {(attention.QkNorm == QkNorm.Unit ? "norms" : "does not norm")} queries and keys, llama.cpp goes by its {experts.Experts} experts";
            if (!isRotated && attention.Temperature != new QueryTemperature(0.1, Chunk, 1))
                return "its queries grow otherwise than llama.cpp's (attn_scale, floor_scale)";
            if (config.Layers[layer].FeedForward is ExpertFeedForward != ((layer + 1) % step == 0))
                return $"its layers with experts do not follow each other by {step}";
        }
        return null;
    }

    private static string? Lfm2(ModelConfig config)
    {
        if (config.Layers.Any(layer => layer.Mixer is ShortConvolution { HasBias: true })) return "its convolutions have biases, llama.cpp's have none";
        var dense = config.Layers.TakeWhile(layer => layer.FeedForward is DenseFeedForward).Count();
        if (config.Experts is not { Router: var router } || config.Layers.Skip(dense).Any(layer => layer.FeedForward is not ExpertFeedForward))
            return "its layers with experts do not follow the dense ones";
        return router is { IsNormalized: true, Scale: 1, HasCorrection: true }
            ? null : "its scores of experts are not as llama.cpp's: divided by their sum, not multiplied (routed_scaling_factor), corrected";
    }

    private static string? Gemma3n(ModelConfig config)
    {
        if (config.Streams is not { Count: 4, Active: 0, LaurelRank: 64, ScalesCorrected: true })
            return "its streams are not as llama.cpp's: four, the first computed, rank 64";
        if (config.PerLayerInput!.Size != 256) return "its small inputs have another width than 256, which llama.cpp fixes";
        if (config.PerLayerInput.VocabularySize > config.VocabularySize) return "its second table of tokens has more rows than the first";
        if (config.LogitSoftCap is null) return "it has no soft cap on its logits, llama.cpp applies one";
        if (config.Ropes is not [{ Kind: RopeKind.Default }, { Kind: RopeKind.Default, Theta: 10_000 }])
            return "its local layers rotate with a base other than 10000";
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            var attention = (SelfAttention)config.Layers[layer].Mixer;
            var dense = (DenseFeedForward)config.Layers[layer].FeedForward;
            if (attention.KeysOfLayer is null != layer < GgufRefusals.StreamSources)
                return $"its layer {layer} {(attention.KeysOfLayer is null ? "has" : "lacks")} its own keys and values, in llama.cpp the first 20 layers have";
            if (dense.Activation != Activation.GeluTanh) return $"its activation is {dense.Activation}, llama.cpp computes the tanh form of GELU";
            if (dense.Sparsity != (layer < GgufRefusals.SparseStreamLayers ? GgufRefusals.StreamSparsity : 0))
                return $"its layer {layer} cuts {dense.Sparsity} of its activations, llama.cpp 0.95 in the first ten layers alone";
        }
        return GgufRefusals.Windows(config, layer => (layer + 1) % 5 != 0, "four of five layers");
    }
}
