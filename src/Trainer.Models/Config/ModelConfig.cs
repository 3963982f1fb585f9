namespace Trainer.Models;

/// <summary>A decoder-only transformer described by data: everything in which the families differ is a field here.</summary>
public sealed record ModelConfig
{
    /// <summary>model_type of config.json, e.g. <c>llama</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>Rows of embedding and head.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the feed-forward block.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads, a divisor of <see cref="Heads"/>.</summary>
    public required int KvHeads { get; init; }

    /// <summary>Elements of a head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>The layers, in order.</summary>
    public required IReadOnlyList<LayerConfig> Layers { get; init; }

    /// <summary>The rotary embeddings that layers refer to.</summary>
    public required IReadOnlyList<RopeConfig> Ropes { get; init; }

    /// <summary>max_position_embeddings: the context the model was made for.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Epsilon of every norm.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Norm weights are stored minus one (Gemma).</summary>
    public bool NormWeightPlusOne { get; init; }

    /// <summary>Module names of a layer's four norms; null where the family has none there.</summary>
    public LayerNorms Norms { get; init; } = new("input_layernorm", null, "post_attention_layernorm", null);

    /// <summary>Normalisation of queries and keys.</summary>
    public QkNorm QkNorm { get; init; }

    /// <summary>The gate's activation.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>q_proj, k_proj and v_proj have biases.</summary>
    public bool QkvBias { get; init; }

    /// <summary>o_proj has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>gate_proj, up_proj and down_proj have biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>One qkv_proj and one gate_up_proj instead of five matrices (Phi-3).</summary>
    public bool FusedProjections { get; init; }

    /// <summary>Multiplier of query-key products.</summary>
    public required double AttentionScale { get; init; }

    /// <summary>Attention scores become cap * tanh(score / cap), or null.</summary>
    public double? AttentionSoftCap { get; init; }

    /// <summary>Logits become cap * tanh(logit / cap), or null.</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>Multiplier of embeddings.</summary>
    public double EmbeddingMultiplier { get; init; } = 1;

    /// <summary>Multiplier of what a block adds to the residual stream.</summary>
    public double ResidualMultiplier { get; init; } = 1;

    /// <summary>Divisor of logits.</summary>
    public double LogitDivisor { get; init; } = 1;

    /// <summary>The head is the embedding table.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Beginning-of-sequence id of config.json, or null.</summary>
    public int? BosId { get; init; }

    /// <summary>End ids of config.json and generation_config.json together.</summary>
    public IReadOnlyList<int> EosIds { get; init; } = [];

    /// <summary>dtype or torch_dtype of config.json, or null.</summary>
    public string? StoredType { get; init; }

    /// <summary>How the folder's weights are already quantized, or null.</summary>
    public StoredQuantization? StoredQuantization { get; init; }

    /// <summary>Number of layers.</summary>
    public int LayerCount => Layers.Count;

    /// <summary>Reads a model folder's config.json (transformers 4 or 5 layout) and generation_config.json.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelException">Missing or broken file, missing key, or something that is not implemented, by name.</exception>
    public static ModelConfig Load(string folder) => ConfigLoader.Load(folder);
}
