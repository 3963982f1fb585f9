using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>The sizes and constants of a decoder as the kernels take them.</summary>
internal sealed class FastShape(ModelConfig config)
{
    public int Hidden { get; } = config.HiddenSize;

    public int Heads { get; } = Latent(config)?.Heads ?? config.Heads;

    public int KvHeads { get; } = Latent(config)?.Heads ?? config.KvHeads;

    public int HeadSize { get; } = Latent(config)?.HeadSize ?? config.HeadSize;

    /// <summary>Query heads that share a key head.</summary>
    public int Group => Heads / KvHeads;

    /// <summary>Width of all queries.</summary>
    public int Query => Heads * HeadSize;

    /// <summary>Width of all keys, and of all values.</summary>
    public int Kv => KvHeads * HeadSize;

    public int Vocabulary { get; } = config.VocabularySize;

    public int Layers { get; } = config.LayerCount;

    public bool Fused { get; } = config.FusedProjections;

    /// <summary>Whether queries and keys are normed, in some layers at least.</summary>
    public bool QueryNorms { get; } = config.QkNorm != QkNorm.None;

    /// <summary>Width of one norm on queries: a head, or all of them together.</summary>
    public int QueryNormWidth { get; } = config.QkNorm == QkNorm.FullWidth ? config.Heads * config.HeadSize : config.HeadSize;

    /// <summary>Width of one norm on keys.</summary>
    public int KeyNormWidth { get; } = config.QkNorm == QkNorm.FullWidth ? config.KvHeads * config.HeadSize : config.HeadSize;

    /// <summary>Whether attention's output is normed before it joins the stream.</summary>
    public bool NormsAttention { get; } = config.Norms.AfterAttention is not null;

    /// <summary>Whether the feed-forward block's output is normed before it joins the stream.</summary>
    public bool NormsMlp { get; } = config.Norms.AfterMlp is not null;

    public float Epsilon { get; } = (float)config.NormEpsilon;

    public float UnitOffset { get; } = config.NormWeightPlusOne ? 1f : 0f;

    /// <summary>Queries, keys and values are cut off at this and its negative, or null.</summary>
    public float? Clip { get; } = (float?)config.Attention?.Clip;

    /// <summary>How queries of some layers grow with the position, or null.</summary>
    public QueryTemperature? Temperature { get; } =
        config.Layers.Select(layer => (layer.Mixer as SelfAttention)?.Temperature).FirstOrDefault(temperature => temperature is not null);

    /// <summary>Soft cap of attention scores, or null.</summary>
    public float? ScoreCap { get; } = (float?)config.AttentionSoftCap;

    /// <summary>Soft cap of logits, or null.</summary>
    public float? LogitCap { get; } = (float?)config.LogitSoftCap;

    public double AttentionScale { get; } = Latent(config)?.Scale ?? config.AttentionScale;

    public float ResidualMultiplier { get; } = (float)config.ResidualMultiplier;

    public float EmbeddingMultiplier { get; } = (float)config.EmbeddingMultiplier;

    public float LogitMultiplier { get; } = (float)(1 / config.LogitDivisor);

    /// <summary>Floats from one token's query to the next: fused projections lie side by side.</summary>
    public int QueryStride => Fused ? Query + 2 * Kv : Query;

    /// <summary>Floats from one token's key (or value) to the next.</summary>
    public int KvStride => Fused ? Query + 2 * Kv : Kv;

    private static LatentAttention? Latent(ModelConfig config) => config.Layers.Select(layer => layer.Mixer).OfType<LatentAttention>().FirstOrDefault();
}
