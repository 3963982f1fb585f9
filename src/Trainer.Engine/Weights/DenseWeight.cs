using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Reference;
using Trainer.Numerics.Half;
using static TorchSharp.torch;

namespace Trainer.Engine.Weights;

/// <summary>A matrix in float32, bfloat16 or float16, usually over a mapped file.</summary>
internal sealed unsafe class DenseWeight : IFrozenWeight, IStreamedWeight
{
    private const long Grain = 1 << 16;
    private readonly Tensor _home;
    private Tensor _tensor;
    private void* _start;

    /// <summary>Takes ownership of a CPU tensor [rows, columns] in any float type; memory it does not own must outlive it.</summary>
    public DenseWeight(Tensor tensor)
    {
        _tensor = _home = tensor;
        _start = TorchMemory.Pointer(tensor);
        Rows = tensor.shape[0];
        Columns = tensor.shape[1];
        Form = tensor.dtype switch
        {
            ScalarType.Float32 => WeightForm.Float32,
            ScalarType.BFloat16 => WeightForm.BFloat16,
            ScalarType.Float16 => WeightForm.Float16,
            var other => throw new ArgumentException($"a dense weight of {other}"),
        };
    }

    public long Rows { get; }

    public long Columns { get; }

    public WeightForm Form { get; }

    public long ByteCount => Rows * Columns * _tensor.ElementSize;

    public Tensor? Resident => _tensor.dtype == ScalarType.Float32 ? _tensor : null;

    /// <summary>The matrix in its stored type. Owned by the weight.</summary>
    public Tensor Stored => _tensor;

    public void Materialize(long rowBegin, long rowCount, float* destination)
    {
        ComputeThreads.For(0, rowCount, Math.Max(1, Grain / Columns), (begin, end) =>
        {
            for (var row = begin; row < end; row++) Read(rowBegin + row, 0, Columns, destination + row * Columns);
        });
        GC.KeepAlive(this);
    }

    public void MaterializeBFloat16(long rowBegin, long rowCount, ushort* destination)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        TorchNative.FromBlob(destination, ScalarType.BFloat16, rowCount, Columns).copy_(_tensor.narrow(0, rowBegin, rowCount));
    }

    public void Read(long row, long columnBegin, long columnCount, float* destination)
    {
        var first = row * Columns + columnBegin;
        switch (Form)
        {
            case WeightForm.BFloat16: BFloat16Bits.ToFloat((ushort*)_start + first, destination, columnCount); break;
            case WeightForm.Float16: Float16Bits.ToFloat((ushort*)_start + first, destination, columnCount); break;
            default: new ReadOnlySpan<float>((float*)_start + first, checked((int)columnCount)).CopyTo(new Span<float>(destination, (int)columnCount)); break;
        }
    }

    public IReadOnlyList<(IntPtr Start, long Length)> MappedParts => [((IntPtr)TorchMemory.Pointer(_home), ByteCount)];

    public void Place(ReadOnlySpan<IntPtr> parts)
    {
        PlaceHome();
        _start = (void*)parts[0];
        _tensor = TorchNative.FromBlob(_start, _home.dtype, _home.shape).DetachFromDisposeScope();
    }

    public void PlaceHome()
    {
        if (ReferenceEquals(_tensor, _home)) return;
        _tensor.Dispose();
        _tensor = _home;
        _start = TorchMemory.Pointer(_home);
    }

    public void Dispose()
    {
        PlaceHome();
        _home.Dispose();
    }
}
