using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Engine;

namespace Trainer.Training.Optimizers;

/// <summary>One named tensor of an optimizer's state: a view of an array that the optimizer works on.</summary>
internal sealed class StateTensor
{
    private readonly Array _array;
    private readonly int _firstByte;
    private readonly int _byteCount;

    private StateTensor(string name, SafetensorsDtype dtype, long[] shape, Array array, int firstByte, int byteCount) =>
        (Name, Dtype, Shape, _array, _firstByte, _byteCount) = (name, dtype, shape, array, firstByte, byteCount);

    /// <summary>Name in a checkpoint: the kind of state, a dot, and the parameter's name.</summary>
    public string Name { get; }

    /// <summary>Type of its elements.</summary>
    public SafetensorsDtype Dtype { get; }

    /// <summary>Row-major shape.</summary>
    public long[] Shape { get; }

    /// <summary>The memory itself: writing to it changes the optimizer.</summary>
    public Span<byte> Bytes => MemoryMarshal.CreateSpan(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(_array), _firstByte), _byteCount);

    /// <summary>State laid out as the parameter buffer: a tensor for each parameter.</summary>
    /// <param name="kind">torch's name of the state.</param>
    /// <param name="tensors">The parameters.</param>
    /// <param name="buffer">As long as the parameter buffer.</param>
    public static IEnumerable<StateTensor> Alike(string kind, IReadOnlyList<ParameterEntry> tensors, float[] buffer) =>
        tensors.Select(tensor => new StateTensor($"{kind}.{tensor.Name}", SafetensorsDtype.F32, [.. tensor.Shape], buffer, (int)tensor.Offset * 4, (int)tensor.Count * 4));

    /// <summary>A whole array of floats.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, float[] array) => new(name, SafetensorsDtype.F32, [array.Length], array, 0, array.Length * 4);

    /// <summary>A whole array of doubles.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, double[] array) => new(name, SafetensorsDtype.F64, [array.Length], array, 0, array.Length * 8);

    /// <summary>A whole array of bytes.</summary>
    /// <param name="name">Name in a checkpoint.</param>
    /// <param name="array">The state.</param>
    public static StateTensor Of(string name, byte[] array) => new(name, SafetensorsDtype.U8, [array.Length], array, 0, array.Length);
}
