using Trainer.Models.Parts;

namespace Trainer.Models.Config;

/// <summary>One layer: what mixes the tokens, what follows for each token, and how both join the residual stream.</summary>
public sealed record LayerConfig
{
    /// <summary>What carries information from token to token.</summary>
    public required TokenMixer Mixer { get; init; }

    /// <summary>What computes each token for itself.</summary>
    public required FeedForward FeedForward { get; init; }

    /// <summary>Module names of the norms around both; null where there is none.</summary>
    public LayerNorms Norms { get; init; } = new("input_layernorm", null, "post_attention_layernorm", null);

    /// <summary>Both blocks read the stream through the first norm and are added to it together, not one behind the other.</summary>
    public bool IsParallel { get; init; }

    /// <summary>The stream is multiplied by a stored number in the end.</summary>
    public bool HasScalar { get; init; }

    /// <summary>Its attention, alone or beside another mixer, or null where it has none.</summary>
    public SelfAttention? Attention => (Mixer as SideBySide)?.Attention ?? Mixer as SelfAttention;

    /// <summary>Its state-space mixer, likewise.</summary>
    public Mamba2? StateSpace => (Mixer as SideBySide)?.Mamba ?? Mixer as Mamba2;

    /// <summary>Its dense feed-forward block, alone or beside experts; not the block that all tokens pass in a mixture. Null where it has none.</summary>
    public DenseFeedForward? Dense => (FeedForward as DenseBesideExperts)?.Dense ?? FeedForward as DenseFeedForward;

    /// <summary>Its experts, likewise.</summary>
    public ExpertFeedForward? Experts => (FeedForward as DenseBesideExperts)?.Experts ?? FeedForward as ExpertFeedForward;

    /// <summary>Attention's window, or null where there is none.</summary>
    public int? SlidingWindow => Attention?.Window;

    /// <summary>Attention's rotary embedding, or -1 where there is none.</summary>
    public int Rope => Attention?.Rope ?? -1;
}
