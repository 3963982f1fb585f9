using Trainer.Models.Parts;

namespace Trainer.Models.Config;

/// <summary>A decoder-only transformer described by data: everything in which the families differ is a field here.</summary>
public sealed record ModelConfig
{
    /// <summary>model_type of config.json, e.g. <c>llama</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>Rows of embedding and head.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The layers, in order.</summary>
    public required IReadOnlyList<LayerConfig> Layers { get; init; }

    /// <summary>The rotary embeddings that layers refer to.</summary>
    public required IReadOnlyList<RopeConfig> Ropes { get; init; }

    /// <summary>max_position_embeddings: the context the model was made for.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Positions that can be used: YaRN as model cards add it leaves max_position_embeddings as it was before scaling.</summary>
    public int Positions
        => Ropes.Where(rope => rope.Kind == RopeKind.Yarn).Select(rope => (int)Math.Min(int.MaxValue, rope.OriginalMaxPositions * (rope.Factor ?? 1)))
            .Append(MaxPositions).Max();

    /// <summary>What the norms of the residual stream compute.</summary>
    public required NormConfig Norm { get; init; }

    /// <summary>Path of the text model's module: <c>model</c>, or inside a multimodal model e.g. <c>model.language_model</c>.</summary>
    public string TextPath { get; init; } = "model";

    /// <summary>Module name of the token embedding.</summary>
    public string EmbeddingName { get; init; } = "embed_tokens";

    /// <summary>Module name of the norm before the head.</summary>
    public string FinalNormName { get; init; } = "norm";

    /// <summary>The head has a bias.</summary>
    public bool HeadBias { get; init; }

    /// <summary>Tensors of the folder that belong to other towers (vision, audio, prediction of several tokens): beginnings of their names.</summary>
    public IReadOnlyList<string> IgnoredTensors { get; init; } = [];

    /// <summary>The folder may hold layers behind the last one, which predict further tokens and are not used.</summary>
    public bool HasExtraLayers { get; init; }

    /// <summary>model_type of the multimodal model around the text model, or null.</summary>
    public string? WrapperType { get; init; }

    /// <summary>A small input of each token for each layer, or null.</summary>
    public PerLayerInput? PerLayerInput { get; init; }

    /// <summary>Several streams in place of one, or null.</summary>
    public FourStreams? Streams { get; init; }

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

    /// <summary>The first layer's attention, which in families of one kind of layer is everyone's; null where no layer attends.</summary>
    public SelfAttention? Attention => Layers.Select(layer => layer.Attention).FirstOrDefault(attention => attention is not null);

    /// <summary>Some layers carry a state from token to token, which cannot be cut back to an earlier token as keys and values can.</summary>
    public bool HasRecurrentState => Layers.Any(layer => layer.Mixer is GatedDelta or ShortConvolution or Mamba2 or SideBySide);

    /// <summary>The first dense feed-forward block, likewise.</summary>
    public DenseFeedForward? FeedForward => Layers.Select(layer => layer.Dense).FirstOrDefault(block => block is not null);

    /// <summary>The first block of experts, or null where no layer has any.</summary>
    public ExpertFeedForward? Experts => Layers.Select(layer => layer.Experts).FirstOrDefault(block => block is not null);

    /// <summary>Multiplier of the routers' term in the training loss; 0 where there is none.</summary>
    public double BalanceLoss => Layers.Select(layer => layer.Experts?.Router.BalanceLoss ?? 0).DefaultIfEmpty().Max();

    /// <summary>Width of the first dense feed-forward block; 0 where there is none.</summary>
    public int IntermediateSize => FeedForward?.Width ?? 0;

    /// <summary>Query heads of the first attention.</summary>
    public int Heads => Attention?.Heads ?? 1;

    /// <summary>Key and value heads of the first attention.</summary>
    public int KvHeads => Attention?.KvHeads ?? 1;

    /// <summary>Elements of a head of the first attention.</summary>
    public int HeadSize => Attention?.HeadSize ?? 0;

    /// <summary>Epsilon of the norms.</summary>
    public double NormEpsilon => Norm.Epsilon;

    /// <summary>Norm weights are stored minus one (Gemma).</summary>
    public bool NormWeightPlusOne => Norm.WeightPlusOne;

    /// <summary>Module names of the first layer's four norms; null where the family has none there.</summary>
    public LayerNorms Norms => Layers[0].Norms;

    /// <summary>Normalisation of queries and keys in the first attention.</summary>
    public QkNorm QkNorm => Attention?.QkNorm ?? QkNorm.None;

    /// <summary>The first dense block's activation.</summary>
    public Activation Activation => FeedForward?.Activation ?? Activation.Silu;

    /// <summary>Queries, keys and values have biases.</summary>
    public bool QkvBias => Attention?.QkvBias ?? false;

    /// <summary>Attention's output has a bias.</summary>
    public bool OutputBias => Attention?.OutputBias ?? false;

    /// <summary>The dense block's projections have biases.</summary>
    public bool MlpBias => FeedForward?.HasBias ?? false;

    /// <summary>One qkv_proj and one gate_up_proj instead of five matrices (Phi-3).</summary>
    public bool FusedProjections => Attention?.IsFused ?? false;

    /// <summary>Multiplier of query-key products.</summary>
    public double AttentionScale => Attention?.Scale ?? 1;

    /// <summary>Attention scores become cap * tanh(score / cap), or null.</summary>
    public double? AttentionSoftCap => Attention?.SoftCap;

    /// <summary>Name in the model's module tree of a tensor in the folder, whatever prefix the file has it under; null for a tensor of another tower.</summary>
    /// <param name="stored">Name in the file.</param>
    public string? ModuleTensor(string stored) => TensorNames.InTree(this, stored);
}
