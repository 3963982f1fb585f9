using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>Frozen matrices on a device: 4-bit ones packed as they are, dense ones in their stored type; other forms are written out on the host and
/// sent.</summary>
/// <param name="device">Where they are used.</param>
/// <param name="keeps">Whether what was sent stays there.</param>
internal sealed unsafe class DeviceWeights(Device device, bool keeps) : IDisposable
{
    private readonly Dictionary<IFrozenWeight, DeviceNf4> _packed = [];
    private readonly Dictionary<IFrozenWeight, Tensor> _dense = [];
    private readonly Lazy<Nf4Tables> _tables = new(() => new Nf4Tables(device));

    /// <summary>Rows of a matrix (count, columns), with the bits that the processor writes out. They belong to the scope of the caller.</summary>
    /// <param name="weight">The matrix.</param>
    /// <param name="begin">First row.</param>
    /// <param name="count">Rows.</param>
    /// <param name="type">float32 or bfloat16.</param>
    public Tensor Rows(IFrozenWeight weight, long begin, long count, ScalarType type)
    {
        switch (weight)
        {
            case Nf4Weight nf4 when keeps:
                if (!_packed.TryGetValue(nf4, out var held)) _packed[nf4] = held = DeviceNf4.Send(nf4, device);
                return held.Rows(_tables.Value, begin, count, type);
            case Nf4Weight nf4:
                using (var sent = DeviceNf4.Send(nf4, device)) return sent.Rows(_tables.Value, begin, count, type);
            case DenseWeight dense when keeps:
                if (!_dense.TryGetValue(dense, out var stored)) _dense[dense] = stored = dense.Stored.to(device, copy: true).DetachFromDisposeScope();
                return stored.narrow(0, begin, count).to(type);
            case DenseWeight dense:
                return dense.Stored.narrow(0, begin, count).to(device).to(type);
            default:
                return Written(weight, begin, count, type).to(device);
        }
    }

    public void Dispose()
    {
        foreach (var packed in _packed.Values) packed.Dispose();
        foreach (var dense in _dense.Values) dense.Dispose();
        if (_tables.IsValueCreated) _tables.Value.Dispose();
    }

    private static Tensor Written(IFrozenWeight weight, long begin, long count, ScalarType type)
    {
        var rows = empty(count, weight.Columns, dtype: type);
        if (type == ScalarType.BFloat16) weight.MaterializeBFloat16(begin, count, (ushort*)TorchMemory.Pointer(rows));
        else weight.Materialize(begin, count, TorchMemory.Pointer(rows));
        return rows;
    }
}
