namespace Trainer.Models;

/// <summary>How a model is loaded and computed.</summary>
public sealed record ModelLoadOptions
{
    /// <summary>How frozen linear weights are held (the head and embeddings stay as stored).</summary>
    public QuantizeKind Quantize { get; init; } = QuantizeKind.None;

    /// <summary>With NF4: quantize the absmax values too.</summary>
    public bool DoubleQuantize { get; init; } = true;

    /// <summary>Type of the frozen matrix products.</summary>
    public ComputeKind Compute { get; init; } = ComputeKind.Auto;

    /// <summary>Which engine computes.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Auto;

    /// <summary>Keep layer inputs only and recompute in the backward pass.</summary>
    public bool GradientCheckpointing { get; init; } = true;

    /// <summary>Every weight is trainable and lies in the parameter buffer (pre-training small models).</summary>
    public bool TrainAllWeights { get; init; }

    /// <summary>Keep only the layer at work and the next one of a mapped NF4 folder resident, prefetching on a thread of its own.</summary>
    public bool Stream { get; init; }

    /// <summary><c>cpu</c>, or a torch device such as <c>cuda:0</c>.</summary>
    public string Device { get; init; } = "cpu";
}
