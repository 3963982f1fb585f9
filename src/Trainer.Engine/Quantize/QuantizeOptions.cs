using Trainer.Numerics.Machine;

namespace Trainer.Engine.Quantize;

/// <summary>How a model folder is quantized.</summary>
public sealed record QuantizeOptions
{
    /// <summary>Quantize the scales too (8 bits, blocks of 256).</summary>
    public bool DoubleQuantize { get; init; } = true;

    /// <summary>Largest shard in bytes.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>Threads that quantize one tensor.</summary>
    public int Threads { get; init; } = MachineLimits.Processors;

    /// <summary>Hears bytes written and bytes in all; null for nobody.</summary>
    public Action<long, long>? Progress { get; init; }
}
