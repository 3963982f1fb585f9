namespace Trainer.Engine.Fast;

/// <summary>A <see cref="LayerAttention"/> as the processor's own code reads and writes it.</summary>
internal readonly unsafe struct HostAttention(LayerAttention layer)
{
    public float* Query { get; } = HostMemory.At<float>(layer.Query);

    public float* Key { get; } = HostMemory.At<float>(layer.Key);

    public float* Value { get; } = HostMemory.At<float>(layer.Value);

    public float* Attended { get; } = HostMemory.At<float>(layer.Attended);

    public float* LogSums { get; } = HostMemory.At<float>(layer.LogSums);

    public int? Window { get; } = layer.Window;
}
