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
        if (config.Streams is not null) return "it has one stream";
        foreach (var layer in config.Layers)
        {
            if (layer.IsParallel) return "it computes attention and feed-forward one behind the other, not side by side";
            if (Mixer(layer.Mixer, config) is { } mixer) return mixer;
            if (FeedForward(layer.FeedForward, config) is { } block) return block;
        }
        return null;
    }

    private static string? Mixer(TokenMixer mixer, ModelConfig config)
    {
        if (mixer is ShortConvolution or GatedDelta) return null;
        if (mixer is LatentAttention) return mixer == config.Layers[0].Mixer ? null : "its layers have the same heads";
        if (mixer is NoMixer) return null;
        if (mixer is Mamba2 mamba) return Mamba(mamba, config);
        if (mixer is SideBySide both) return both == config.Layers[0].Mixer ? Mamba(both.Mamba, config) ?? Attention(both.Attention, config)
            : "its layers have the same heads";
        return mixer is SelfAttention attention ? Attention(attention, config) : $"it has no {mixer.Name}";
    }

    private static string? Attention(SelfAttention attention, ModelConfig config)
    {
        if (attention.QkNorm is not (QkNorm.None or QkNorm.PerHead or QkNorm.FullWidth or QkNorm.Unit)
            || attention.HeadNorm.Kind != NormKind.RootMeanSquare || attention.HeadNorm.HasBias)
            return "it has no such norms on queries and keys";
        if (attention.HasGate && attention.IsFused) return "it has no gate on the output of fused attention";
        if (attention.KeyMultiplier != 1 && (attention.IsFused || attention.ValuesAreKeys || attention.QkNorm == QkNorm.FullWidth))
            return "it does not scale keys that are fused, values too, or normed over all heads";
        if (attention.Temperature is { } temperature && temperature != new FastShape(config).Temperature) return "queries grow alike in all layers";
        if (attention.Clip is not null && (attention.QkNorm != QkNorm.FullWidth || attention.IsFused))
            return "it cuts off queries and keys that were normed over all heads alone";
        if (attention.IsFused && attention is { NormsValues: true } or { KeysOfLayer: not null }) return "it has no shared keys and no norm on fused values";
        if (attention.ValuesAreKeys && attention.QkNorm != QkNorm.PerHead) return "keys that are values too are normed by their heads";
        if (attention.KeysOfLayer is not null && attention is { HasGate: true } or { HasSinks: true } or { Clip: not null } or { Temperature: not null }
            or { NormsRotated: true } or { QkNorm: QkNorm.Unit })
            return "queries that look at another layer's keys have weights on their norms, and nothing more";
        return attention.IsFused && Plain(attention) != Plain(config.Attention!) ? "its layers of fused projections have the same heads" : null;
    }

    // What layers may differ in is left out.
    private static SelfAttention Plain(SelfAttention attention) => attention with { Window = null, Rope = 0, Chunk = null, Temperature = null };

    private static string? Mamba(Mamba2 mamba, ModelConfig config)
    {
        if (mamba is { NormGroups: > 1, ResultNorm.WeightPlusOne: true }) return "it has no norm of groups whose weight is stored minus one";
        return mamba == config.Layers.Select(layer => layer.StateSpace).First(one => one is not null) ? null : "its layers have the same heads";
    }

    private static string? FeedForward(FeedForward block, ModelConfig config)
    {
        if (block is DenseBesideExperts both) return Dense(both.Dense) ?? Experts(both.Experts, config);
        if (block is NoFeedForward) return null;
        if (block is ExpertFeedForward experts) return Experts(experts, config);
        if (block is not DenseFeedForward dense) return $"it has no {block.Name}";
        return Dense(dense);
    }

    private static string? Experts(ExpertFeedForward experts, ModelConfig config)
    {
        if (Unit(experts.IsGated, experts.Activation) is { } unit) return unit;
        if (experts.Shared is { } shared && Dense(shared) is { } lacking) return lacking;
        return experts == config.Experts ? null : "its experts are alike in all layers";
    }

    private static string? Dense(DenseFeedForward dense)
    {
        if (Unit(dense.IsGated, dense.Activation) is { } unit) return unit;
        if (dense.Sparsity != 0) return "it cuts no gates off before their activation";
        return dense is { GateMultiplier: not 1, FusedName: not null } ? "it does not scale fused gates" : null;
    }

    private static string? Unit(bool isGated, Activation activation)
    {
        if (!isGated) return activation == Activation.ReluSquared ? null : $"it has no {activation} without a gate";
        return activation is Activation.Silu or Activation.GeluTanh ? null : $"it has no {activation}";
    }
}
