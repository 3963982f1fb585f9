using Trainer.Checkpoints.Safetensors;
using Trainer.Numerics.Machine;

namespace Trainer.Adapters.Merge;

/// <summary>How an adapter is merged into its base.</summary>
public sealed record MergeOptions
{
    /// <summary>Merge into the values that the base has after NF4 quantization, as the adapter saw them in training, in place of the original ones.</summary>
    public bool OntoQuantized { get; init; }

    /// <summary>With that: whether the scales were quantized too.</summary>
    public bool DoubleQuantize { get; init; } = true;

    /// <summary>Type of the merged weights; null keeps each tensor's own.</summary>
    public SafetensorsDtype? Type { get; init; }

    /// <summary>Largest shard in bytes.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>Threads that quantize.</summary>
    public int Threads { get; init; } = MachineLimits.Processors;

    /// <summary>Hears bytes written and bytes in all; null for nobody.</summary>
    public Action<long, long>? Progress { get; init; }
}
