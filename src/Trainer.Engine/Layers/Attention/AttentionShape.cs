using Trainer.Models.Parts;

namespace Trainer.Engine.Layers.Attention;

/// <summary>What scores and their sums need to know of an attention.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads.</param>
/// <param name="Scale">Multiplier of query-key products.</param>
/// <param name="SoftCap">Scores become cap * tanh(score / cap), or null.</param>
/// <param name="Window">Keys a query sees, or null.</param>
/// <param name="Chunk">Positions of a block that sees itself alone, or null.</param>
internal sealed record AttentionShape(int Heads, int KvHeads, double Scale, double? SoftCap, int? Window, int? Chunk)
{
    public AttentionShape(SelfAttention config)
        : this(config.Heads, config.KvHeads, config.Scale, config.SoftCap, config.Window, config.Chunk)
    {
    }

    /// <summary>Whether a query may not see all earlier keys of so many.</summary>
    public bool IsLimited(int keys) => Window < keys || Chunk < keys;
}
