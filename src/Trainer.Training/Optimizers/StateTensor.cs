using Trainer.Checkpoints.Safetensors;
using Trainer.Engine;
using Trainer.Numerics.Spans;

namespace Trainer.Training.Optimizers;

/// <summary>One named tensor of an optimizer's state: a view of memory that the optimizer works on.</summary>
internal sealed class StateTensor
{
    private readonly long _firstByte;

    private StateTensor(string name, SafetensorsDtype dtype, long[] shape, ILongMemory memory, long firstByte, long byteCount) =>
        (Name, Dtype, Shape, Memory, _firstByte, ByteCount) = (name, dtype, shape, memory, firstByte, byteCount);

    /// <summary>Name in a checkpoint: the kind of state, a dot, and the parameter's name.</summary>
    public string Name { get; }

    /// <summary>Type of its elements.</summary>
    public SafetensorsDtype Dtype { get; }

    /// <summary>Row-major shape.</summary>
    public long[] Shape { get; }

    /// <summary>What it is a view of; other tensors may be views of it too.</summary>
    public ILongMemory Memory { get; }

    /// <summary>Its size in bytes: that of a head of half a billion values is more than a span can hold.</summary>
    public long ByteCount { get; }

    /// <summary>A part of the memory: writing to it changes the optimizer.</summary>
    /// <param name="first">First byte.</param>
    /// <param name="count">Bytes.</param>
    public Span<byte> Part(long first, int count) => Memory.Bytes.Slice(_firstByte, ByteCount).Span(first, count);

    /// <summary>State laid out as the parameter buffer: a tensor for each parameter.</summary>
    /// <param name="kind">torch's name of the state.</param>
    /// <param name="tensors">The parameters.</param>
    /// <param name="buffer">As long as the parameter buffer.</param>
    public static IEnumerable<StateTensor> Alike(string kind, IReadOnlyList<ParameterEntry> tensors, LongArray<float> buffer) =>
        tensors.Select(tensor => new StateTensor($"{kind}.{tensor.Name}", SafetensorsDtype.F32, [.. tensor.Shape], buffer, tensor.Offset * 4,
        tensor.Count * 4));

    /// <summary>A whole array of floats.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, LongArray<float> array) => new(name, SafetensorsDtype.F32, [array.Length], array, 0, array.Length * 4);

    /// <summary>A whole array of doubles.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, LongArray<double> array) => new(name, SafetensorsDtype.F64, [array.Length], array, 0, array.Length * 8);

    /// <summary>A whole array of bytes.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, LongArray<byte> array) => new(name, SafetensorsDtype.U8, [array.Length], array, 0, array.Length);
}
