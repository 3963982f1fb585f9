using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Reference;
using Trainer.Engine.Weights;
using Trainer.Numerics.Spans;
using static TorchSharp.torch;

namespace Trainer.Engine;

/// <summary>
/// All trainable values in one flat float32 buffer and all gradients in another, both 64-byte aligned.
/// This is what is clipped, stepped, checkpointed and summed over ranks; entries start at multiples of 16 floats and the gaps stay 0.
/// </summary>
public sealed unsafe class ParameterBuffer : IDisposable
{
    private const int Alignment = 16;
    private const long PartFloats = 1 << 22;

    // Cleared in some ten microseconds: less is not worth a thread.
    private const long ClearFloats = 1 << 16;
    private readonly Dictionary<string, ParameterEntry> _byName;
    private readonly Dictionary<ParameterEntry, (Tensor Value, Tensor Gradient)> _views = [];

    /// <summary>Lays out tensors in the order given, filled with 0.</summary>
    /// <param name="tensors">Name and shape of each.</param>
    /// <param name="device">Torch device; <c>cpu</c> unless the model computes elsewhere.</param>
    public ParameterBuffer(IEnumerable<(string Name, long[] Shape)> tensors, string device = "cpu")
    {
        var entries = new List<ParameterEntry>();
        long at = 0;
        foreach (var (name, shape) in tensors)
        {
            var entry = new ParameterEntry(name, shape, at);
            entries.Add(entry);
            at += Padded(entry.Count);
        }
        Entries = entries;
        Length = at;
        _byName = entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        using var outside = NewDisposeScope();
        Values = zeros(Math.Max(1, at), dtype: ScalarType.Float32, device: new Device(device)).DetachFromDisposeScope();
        Gradients = zeros(Math.Max(1, at), dtype: ScalarType.Float32, device: new Device(device)).DetachFromDisposeScope();
        foreach (var entry in entries)
        {
            var shape = entry.Shape.ToArray();
            var value = Values.narrow(0, entry.Offset, entry.Count).view(shape).detach().requires_grad_(true).DetachFromDisposeScope();
            var gradient = Gradients.narrow(0, entry.Offset, entry.Count).view(shape).DetachFromDisposeScope();
            // Autograd adds in place into a gradient that is already there, so backward passes fill the flat buffer.
            value.grad = gradient;
            _views[entry] = (value, gradient);
        }
    }

    /// <summary>The tensors, in buffer order.</summary>
    public IReadOnlyList<ParameterEntry> Entries { get; }

    /// <summary>Floats in each buffer, gaps included.</summary>
    public long Length { get; }

    /// <summary>Trainable elements, gaps excluded.</summary>
    public long ParameterCount => Entries.Sum(entry => entry.Count);

    /// <summary>All values, float32 [length]. Owned by the buffer.</summary>
    public Tensor Values { get; }

    /// <summary>All gradients, float32 [length]. Owned by the buffer.</summary>
    public Tensor Gradients { get; }

    /// <summary>First value (CPU only); valid while the buffer lives.</summary>
    public float* ValuePointer => (float*)TorchNative.DataPointer(Values);

    /// <summary>First gradient (CPU only); valid while the buffer lives.</summary>
    public float* GradientPointer => (float*)TorchNative.DataPointer(Gradients);

    /// <summary>All values as a span (CPU only).</summary>
    public LongSpan<float> ValueSpan => new(ValuePointer, Length);

    /// <summary>All gradients as a span (CPU only).</summary>
    public LongSpan<float> GradientSpan => new(GradientPointer, Length);

    /// <summary>The entry of that name, or null.</summary>
    /// <param name="name">Name on disk, or null.</param>
    public ParameterEntry? Find(string? name) => name is null ? null : _byName.GetValueOrDefault(name);

    /// <summary>One tensor's values as the autograd leaf (a view into <see cref="Values"/>). Owned by the buffer.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    public Tensor Value(ParameterEntry entry) => _views[entry].Value;

    /// <summary>One tensor's gradient (a view into <see cref="Gradients"/>). Owned by the buffer.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    public Tensor Gradient(ParameterEntry entry) => _views[entry].Gradient;

    /// <summary>One tensor's values as a span (CPU only; at most 2^31 floats).</summary>
    /// <param name="entry">An entry of this buffer.</param>
    public Span<float> ValuesOf(ParameterEntry entry) => new(ValuePointer + entry.Offset, checked((int)entry.Count));

    /// <summary>One tensor's gradients as a span (CPU only; at most 2^31 floats).</summary>
    /// <param name="entry">An entry of this buffer.</param>
    public Span<float> GradientsOf(ParameterEntry entry) => new(GradientPointer + entry.Offset, checked((int)entry.Count));

    /// <summary>Overwrites one tensor's values.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    /// <param name="values">As many as the entry has.</param>
    public void Write(ParameterEntry entry, ReadOnlySpan<float> values)
    {
        if (values.Length != entry.Count) throw new ArgumentException($"{values.Length} values for '{entry.Name}' of {entry.Count}");
        fixed (float* source = values) Copy(entry, 0, source, values.Length);
    }

    /// <summary>Overwrites a part of one tensor's values.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    /// <param name="begin">First element to overwrite.</param>
    /// <param name="values">What it and those behind it become.</param>
    public void Write(ParameterEntry entry, long begin, ReadOnlySpan<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(begin);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(begin, entry.Count - values.Length);
        fixed (float* source = values) Copy(entry, begin, source, values.Length);
    }

    /// <summary>Overwrites one tensor's values with those of a float tensor of as many elements.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    /// <param name="values">Any float type, any device.</param>
    public void Write(ParameterEntry entry, Tensor values)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        Values.narrow(0, entry.Offset, entry.Count).copy_(values.reshape(entry.Count));
    }

    /// <summary>Overwrites one tensor's values with a frozen matrix, a few rows at a time.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    /// <param name="weight">A matrix of as many elements.</param>
    public void WriteWeight(ParameterEntry entry, IFrozenWeight weight)
    {
        var rows = Math.Clamp(PartFloats / weight.Columns, 1, weight.Rows);
        var part = new float[rows * weight.Columns];
        fixed (float* scratch = part)
        {
            for (long begin = 0; begin < weight.Rows; begin += rows)
            {
                var count = Math.Min(rows, weight.Rows - begin);
                weight.Materialize(begin, count, scratch);
                Copy(entry, begin * weight.Columns, scratch, count * weight.Columns);
            }
        }
    }

    /// <summary>Overwrites one tensor's values with chosen rows of a frozen matrix.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    /// <param name="weight">A matrix with rows of the entry's width.</param>
    /// <param name="rows">The rows, in the entry's order.</param>
    public void WriteRows(ParameterEntry entry, IFrozenWeight weight, IReadOnlyList<int> rows)
    {
        var part = new float[weight.Columns];
        for (var i = 0; i < rows.Count; i++)
        {
            fixed (float* scratch = part) weight.Materialize(rows[i], 1, scratch);
            Write(entry, i * weight.Columns, part);
        }
    }

    /// <summary>Shows one tensor's values in parts, in order, from any device.</summary>
    /// <param name="entry">An entry of this buffer.</param>
    /// <param name="visit">Gets each part.</param>
    public void Read(ParameterEntry entry, ReadOnlySpanAction visit)
    {
        for (long at = 0; at < entry.Count; at += PartFloats)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(PartFloats, entry.Count - at);
            var part = Values.narrow(0, entry.Offset + at, count).cpu();
            visit(new ReadOnlySpan<float>(TorchNative.DataPointer(part), (int)count));
        }
    }

    /// <summary>Floats that a buffer of these tensors takes, gaps included.</summary>
    /// <param name="tensors">Name and shape of each.</param>
    public static long LengthOf(IEnumerable<(string Name, long[] Shape)> tensors)
        => tensors.Sum(tensor => Padded(tensor.Shape.Aggregate(1L, (product, side) => product * side)));

    private static long Padded(long count) => (count + Alignment - 1) / Alignment * Alignment;

    /// <summary>Sets every gradient to 0.</summary>
    public void ZeroGradients()
    {
        if (Gradients.device_type != DeviceType.CPU)
        {
            Gradients.zero_().Dispose();
            return;
        }
        var gradients = GradientPointer;
        ComputeThreads.For(0, Length, ClearFloats, (begin, end) => NativeMemory.Clear(gradients + begin, (nuint)(end - begin) * sizeof(float)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (value, gradient) in _views.Values)
        {
            value.Dispose();
            gradient.Dispose();
        }
        _views.Clear();
        Values.Dispose();
        Gradients.Dispose();
    }

    private void Copy(ParameterEntry entry, long at, float* source, long count)
    {
        using var scope = NewDisposeScope();
        Values.narrow(0, entry.Offset + at, count).copy_(TorchNative.FromBlob(source, ScalarType.Float32, count));
    }
}
