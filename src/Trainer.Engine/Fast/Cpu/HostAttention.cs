using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast.Cpu;

/// <summary>A <see cref="LayerAttention"/> as the processor's own code reads and writes it.</summary>
internal readonly unsafe struct HostAttention(LayerAttention layer)
{
    public HeadShape Shape { get; } = layer.Shape;

    public float* Query { get; private init; } = HostMemory.At<float>(layer.Query);

    public float* Key { get; } = HostMemory.At<float>(layer.Key);

    public float* Value { get; } = HostMemory.At<float>(layer.Value);

    public float* Attended { get; private init; } = HostMemory.At<float>(layer.Attended);

    public float* LogSums { get; private init; } = HostMemory.At<float>(layer.LogSums);

    /// <summary>A score beside those of each head, or null.</summary>
    public float* Sinks { get; } = HostMemory.At<float>(layer.Sinks);

    public int? Window { get; } = layer.Window;

    /// <summary>The same from a token on, for a text whose keys and values lie elsewhere.</summary>
    public HostAttention From(long token) => this with
    {
        Query = Query + token * Shape.QueryStride,
        Attended = Attended + token * Shape.Query,
        LogSums = LogSums + token,
    };
}
