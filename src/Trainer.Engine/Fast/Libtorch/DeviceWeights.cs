using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>Frozen matrices on a device: 4-bit ones packed as they are, dense ones in their stored type; other forms are written out on the host and
/// sent.</summary>
/// <param name="heap">Where they are used.</param>
/// <param name="keeps">Whether what was sent stays there.</param>
internal sealed unsafe class DeviceWeights(DeviceHeap heap, bool keeps) : IDisposable
{
    private readonly Dictionary<IFrozenWeight, DeviceNf4> _packed = [];
    private readonly Dictionary<IFrozenWeight, Tensor> _dense = [];
    private readonly Dictionary<IFrozenWeight, Tensor> _placed = [];
    private readonly HashSet<IFrozenWeight> _kept = [];
    private readonly Lazy<Nf4Tables> _tables = new(() => new Nf4Tables(heap));

    /// <summary>Rows of a matrix (count, columns), with the bits that the processor writes out. They belong to the scope of the caller.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="begin">First row.</param>
    /// <param name="count">Rows.</param>
    /// <param name="type">float32 or bfloat16.</param>
    public Tensor Rows(IFrozenWeight weight, long begin, long count, ScalarType type)
    {
        switch (weight)
        {
            case StackedWeight both:
                return Stacked(both, begin, count, type);
            case Nf4Weight nf4:
                if (!_packed.TryGetValue(nf4, out var held)) _packed[nf4] = held = new DeviceNf4(nf4, heap);
                if (held.IsThere) return held.Rows(_tables.Value, begin, count, type);
                if (Keeps(nf4)) return held.Send().Rows(_tables.Value, begin, count, type);
                using (var sent = new DeviceNf4(nf4, heap)) return sent.Send().Rows(_tables.Value, begin, count, type);
            case DenseWeight dense when _placed.TryGetValue(dense, out var placed):
                return placed.narrow(0, begin, count).to(type);
            case DenseWeight dense when Keeps(dense):
                if (!_dense.TryGetValue(dense, out var stored)) _dense[dense] = stored = Sent(dense);
                return stored.narrow(0, begin * dense.Columns, count * dense.Columns).view(count, dense.Columns).to(type);
            case DenseWeight dense:
                return dense.Stored.narrow(0, begin, count).to(heap.Device).to(type);
            default:
                return Written(weight, begin, count, type).to(heap.Device);
        }
    }

    /// <summary>From its next use on a matrix stays on the device, though others do not.</summary>
    public void Keep(IFrozenWeight weight) => _kept.Add(weight);

    /// <summary>A matrix is used from a room until <see cref="Lift"/>.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="room">Bytes of the room.</param>
    /// <param name="parts">Where each of its parts begins.</param>
    public void Place(IFrozenWeight weight, Tensor room, IReadOnlyList<long> parts)
    {
        switch (weight)
        {
            case Nf4Weight nf4:
                if (!_packed.TryGetValue(nf4, out var held)) _packed[nf4] = held = new DeviceNf4(nf4, heap);
                held.Place(room, parts[0], parts[1]);
                break;
            case DenseWeight dense:
                using (NewDisposeScope())
                    _placed[dense] = TorchMemory.Retyped(room.narrow(0, parts[0], dense.ByteCount), dense.Stored.dtype).view(dense.Rows, dense.Columns)
                        .DetachFromDisposeScope();
                break;
        }
    }

    /// <summary>A matrix leaves its room.</summary>
    public void Lift(IFrozenWeight weight)
    {
        if (_packed.TryGetValue(weight, out var held)) held.Lift();
        if (_placed.Remove(weight, out var placed)) placed.Dispose();
    }

    public void Dispose()
    {
        foreach (var packed in _packed.Values) packed.Dispose();
        foreach (var dense in _dense.Values) heap.Give(DeviceUse.Weights, dense);
        foreach (var placed in _placed.Values) placed.Dispose();
        if (_tables.IsValueCreated) _tables.Value.Dispose();
    }

    private bool Keeps(IFrozenWeight weight) => keeps || _kept.Contains(weight);

    private Tensor Sent(DenseWeight dense)
    {
        var there = heap.Take(DeviceUse.Weights, dense.Rows * dense.Columns, dense.Stored.dtype);
        using var matrix = there.view(dense.Rows, dense.Columns);
        matrix.copy_(dense.Stored);
        return there;
    }

    private Tensor Stacked(StackedWeight both, long begin, long count, ScalarType type)
    {
        var (upper, lower) = (both.Parts[0], both.Parts[1]);
        var above = Math.Clamp(upper.Rows - begin, 0, count);
        if (above == count) return Rows(upper, begin, count, type);
        var below = Rows(lower, begin + above - upper.Rows, count - above, type);
        return above == 0 ? below : cat([Rows(upper, begin, above, type), below], 0);
    }

    private static Tensor Written(IFrozenWeight weight, long begin, long count, ScalarType type)
    {
        var rows = empty(count, weight.Columns, dtype: type);
        if (type == ScalarType.BFloat16) weight.MaterializeBFloat16(begin, count, (ushort*)TorchMemory.Pointer(rows));
        else weight.Materialize(begin, count, TorchMemory.Pointer(rows));
        return rows;
    }
}
