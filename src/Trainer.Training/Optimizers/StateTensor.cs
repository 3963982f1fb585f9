using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Engine;

namespace Trainer.Training.Optimizers;

/// <summary>One named tensor of an optimizer's state: a view of an array that the optimizer works on.</summary>
internal sealed class StateTensor
{
    private readonly Array _array;
    private readonly long _firstByte;

    private StateTensor(string name, SafetensorsDtype dtype, long[] shape, Array array, long firstByte, long byteCount) =>
        (Name, Dtype, Shape, _array, _firstByte, ByteCount) = (name, dtype, shape, array, firstByte, byteCount);

    /// <summary>Name in a checkpoint: the kind of state, a dot, and the parameter's name.</summary>
    public string Name { get; }

    /// <summary>Type of its elements.</summary>
    public SafetensorsDtype Dtype { get; }

    /// <summary>Row-major shape.</summary>
    public long[] Shape { get; }

    /// <summary>Its size in bytes: that of a head of half a billion values is more than a span can hold.</summary>
    public long ByteCount { get; }

    /// <summary>The memory itself, where a span holds all of it: writing to it changes the optimizer.</summary>
    public Span<byte> Bytes => Part(0, checked((int)ByteCount));

    /// <summary>A part of the memory.</summary>
    /// <param name="first">First byte.</param>
    /// <param name="count">Bytes.</param>
    public Span<byte> Part(long first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first, ByteCount - count);
        return MemoryMarshal.CreateSpan(ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(_array), (nint)(_firstByte + first)), count);
    }

    /// <summary>State laid out as the parameter buffer: a tensor for each parameter.</summary>
    /// <param name="kind">torch's name of the state.</param>
    /// <param name="tensors">The parameters.</param>
    /// <param name="buffer">As long as the parameter buffer.</param>
    public static IEnumerable<StateTensor> Alike(string kind, IReadOnlyList<ParameterEntry> tensors, float[] buffer) =>
        tensors.Select(tensor => new StateTensor($"{kind}.{tensor.Name}", SafetensorsDtype.F32, [.. tensor.Shape], buffer, tensor.Offset * 4, tensor.Count * 4));

    /// <summary>A whole array of floats.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, float[] array) => new(name, SafetensorsDtype.F32, [array.Length], array, 0, array.Length * 4L);

    /// <summary>A whole array of doubles.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, double[] array) => new(name, SafetensorsDtype.F64, [array.Length], array, 0, array.Length * 8L);

    /// <summary>A whole array of bytes.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, byte[] array) => new(name, SafetensorsDtype.U8, [array.Length], array, 0, array.Length);
}
