using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>The heads of one layer's attention, and how they lie.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key heads, and value heads.</param>
/// <param name="HeadSize">Elements of a head.</param>
/// <param name="Scale">Multiplier of query-key products.</param>
internal sealed record HeadShape(int Heads, int KvHeads, int HeadSize, double Scale)
{
    /// <summary>Soft cap of scores, or null.</summary>
    public float? ScoreCap { get; private init; }

    /// <summary>Queries, keys and values lie side by side in one row.</summary>
    public bool IsFused { get; private init; }

    /// <summary>Query heads that share a key head.</summary>
    public int Group => Heads / KvHeads;

    /// <summary>Width of all queries.</summary>
    public int Query => Heads * HeadSize;

    /// <summary>Width of all keys, and of all values.</summary>
    public int Kv => KvHeads * HeadSize;

    /// <summary>Floats from one token's query to the next.</summary>
    public int QueryStride => IsFused ? Query + 2 * Kv : Query;

    /// <summary>Floats from one token's key (or value) to the next.</summary>
    public int KvStride => IsFused ? Query + 2 * Kv : Kv;

    /// <summary>The heads of a mixer, or null where it does not attend.</summary>
    public static HeadShape? Of(TokenMixer mixer) => mixer switch
    {
        SelfAttention attention => new(attention.Heads, attention.KvHeads, attention.HeadSize, attention.Scale)
        {
            ScoreCap = (float?)attention.SoftCap, IsFused = attention.IsFused,
        },
        SideBySide both => Of(both.Attention),
        LatentAttention latent => new(latent.Heads, latent.Heads, latent.HeadSize, latent.Scale),
        _ => null,
    };
}
