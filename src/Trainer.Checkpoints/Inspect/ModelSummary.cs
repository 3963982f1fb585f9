namespace Trainer.Checkpoints.Inspect;

/// <summary>What config.json says, with null for what it does not.</summary>
public sealed record ModelSummary
{
    /// <summary>model_type, e.g. llama.</summary>
    public string? Family { get; init; }

    /// <summary>The first of architectures.</summary>
    public string? Architecture { get; init; }

    /// <summary>Element type of the weights.</summary>
    public string? Dtype { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public long? HiddenSize { get; init; }

    /// <summary>Width of the feed-forward part.</summary>
    public long? IntermediateSize { get; init; }

    /// <summary>Decoder layers.</summary>
    public long? Layers { get; init; }

    /// <summary>Query heads.</summary>
    public long? Heads { get; init; }

    /// <summary>Key and value heads.</summary>
    public long? KvHeads { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public long? VocabularySize { get; init; }

    /// <summary>Longest sequence.</summary>
    public long? MaxPositions { get; init; }

    /// <summary>Whether the head shares the embedding's weight.</summary>
    public bool? IsTied { get; init; }

    /// <summary>Kind of rope scaling, or null for none.</summary>
    public string? RopeScaling { get; init; }

    /// <summary>How the weights are quantized, e.g. "bitsandbytes nf4, double"; null where they are not.</summary>
    public string? Quantization { get; init; }

    /// <summary>Whether tokenizer files are there.</summary>
    public bool HasTokenizer { get; init; }

    /// <summary>Whether a chat template is there.</summary>
    public bool HasChatTemplate { get; init; }
}
