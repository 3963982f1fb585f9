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

    /// <summary>Attention's window, or null where there is none.</summary>
    public int? SlidingWindow => (Mixer as SelfAttention)?.Window;

    /// <summary>Attention's rotary embedding, or -1 where there is none.</summary>
    public int Rope => (Mixer as SelfAttention)?.Rope ?? -1;
}
