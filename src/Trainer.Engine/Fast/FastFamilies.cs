using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>Which parts of a family the hand-written engine lacks: known from config.json alone, so that the plan can say it.</summary>
public static class FastFamilies
{
    /// <summary>The first part that it lacks, in words, or null where it has all.</summary>
    /// <param name="config">The model.</param>
    public static string? Refusal(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (config.Norm.Kind != NormKind.RootMeanSquare) return "it has no LayerNorm";
        if (config.Norm.HasBias || config.HeadBias) return "it has no biases on norms or head";
        if (config.PerLayerInput is not null || config.Streams is not null) return "it has one stream, and no inputs of each layer";
        foreach (var layer in config.Layers)
        {
            if (layer.HasScalar) return "it has no multiplier of a layer's output";
            if (layer.IsParallel) return "it computes attention and feed-forward one behind the other, not side by side";
            if (Mixer(layer.Mixer, config) is { } mixer) return mixer;
            if (FeedForward(layer.FeedForward, config) is { } block) return block;
            if (layer.Norms != config.Norms) return "its layers have the same norms";
        }
        return null;
    }

    private static string? Mixer(TokenMixer mixer, ModelConfig config)
    {
        if (mixer is ShortConvolution or GatedDelta) return null;
        if (mixer is LatentAttention) return mixer == config.Layers[0].Mixer ? null : "its layers have the same heads";
        if (mixer is Mamba2 mamba) return Mamba(mamba, config);
        if (mixer is not SelfAttention attention) return $"it has no {mixer.Name}";
        if (attention.QkNorm is not (QkNorm.None or QkNorm.PerHead or QkNorm.FullWidth or QkNorm.Unit)
            || attention.HeadNorm.Kind != NormKind.RootMeanSquare || attention.HeadNorm.HasBias)
            return "it has no such norms on queries and keys";
        if (attention.HasGate && attention.IsFused) return "it has no gate on the output of fused attention";
        if (attention.KeyMultiplier != 1) return "it does not scale keys";
        if (attention.Temperature is { } temperature && temperature != new FastShape(config).Temperature) return "queries grow alike in all layers";
        if (attention.Clip is not null && (attention.QkNorm != QkNorm.FullWidth || attention.IsFused))
            return "it cuts off queries and keys that were normed over all heads alone";
        if (attention is { ValuesAreKeys: true } or { KeysOfLayer: not null } or { NormsValues: true })
            return "it has no shared keys and values and no norm on values";
        return Plain(attention) == Plain(config.Attention!) ? null : "its layers have the same heads";
    }

    // What layers may differ in is left out.
    private static SelfAttention Plain(SelfAttention attention) => attention with { Window = null, Rope = 0, Chunk = null, Temperature = null };

    private static string? Mamba(Mamba2 mamba, ModelConfig config)
    {
        if (mamba.ResultNorm is not null && (mamba.NormGroups != 1 || mamba.NormsBeforeGate)) return "it norms the whole result of Mamba-2, behind its gate";
        if (mamba is { InputMultiplier: not 1 } or { PartMultipliers: not null }) return "it has no multipliers inside Mamba-2";
        return mamba == config.Layers.Select(layer => layer.Mixer).OfType<Mamba2>().First() ? null : "its layers have the same heads";
    }

    private static string? FeedForward(FeedForward block, ModelConfig config)
    {
        if (block is ExpertFeedForward experts) return Experts(experts, config);
        if (block is not DenseFeedForward dense) return $"it has no {block.Name}";
        return Dense(dense) ?? (dense == config.FeedForward ? null : "its layers are of the same width");
    }

    private static string? Experts(ExpertFeedForward experts, ModelConfig config)
    {
        if (experts.Activation is not (Activation.Silu or Activation.GeluTanh)) return $"it has no {experts.Activation}";
        if (!experts.IsGated || experts.LatentWidth is not null) return "it has no experts without gates, and none in a space of their own";
        if (experts.Router.HasNorm || experts.Router.HasExpertScales) return "it has no router with a norm or scales of its own";
        if (experts.Shared is { } shared && Dense(shared) is { } lacking) return lacking;
        return experts == config.Experts ? null : "its experts are alike in all layers";
    }

    private static string? Dense(DenseFeedForward dense)
    {
        if (!dense.IsGated) return "it has no feed-forward block without a gate";
        if (dense.Activation is not (Activation.Silu or Activation.GeluTanh)) return $"it has no {dense.Activation}";
        return dense is { GateMultiplier: not 1 } or { DownMultiplier: not 1 } or { Sparsity: not 0 }
            ? "it does not scale inside the feed-forward block" : null;
    }
}
