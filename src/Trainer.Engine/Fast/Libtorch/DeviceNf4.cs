using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Engine.Weights;
using Trainer.Numerics.Nf4;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>A 4-bit matrix packed on a device and decoded there by libtorch's operations, bit for bit as the processor decodes it.</summary>
/// <remarks>
/// <code>
/// value = code's value * absmax       absmax = map[code of absmax] * nested absmax + offset   (under double quantization)
/// </code>
/// Each product and sum is an operation of its own, so none is fused and each is rounded as the reference does.
/// Codes and scales may lie in a room that layers of a streamed base take turns in; the few nested scales stay.
/// </remarks>
internal sealed unsafe class DeviceNf4 : IDisposable
{
    public const int PackedBlock = Nf4Codebook.BlockSize / 2;
    private readonly Nf4Weight _weight;
    private readonly DeviceHeap _heap;
    private readonly Tensor? _nested;
    private readonly Tensor? _map;
    private readonly bool _isNested;
    private Tensor? _packed;
    private Tensor? _scales;
    private bool _isPlaced;

    /// <summary>What stays of a matrix: its nested scales.</summary>
    public DeviceNf4(Nf4Weight weight, DeviceHeap heap)
    {
        (_weight, _heap) = (weight, heap);
        _isNested = weight.Source.Absmax == null;
        if (!_isNested) return;
        _nested = Sent(weight.Source.NestedAbsmax, Nf4Codebook.NestedBlocks(weight.Source.Count));
        _map = Sent(weight.Source.NestedMap, 256);
        GC.KeepAlive(weight);
    }

    /// <summary>Whether codes and scales are on the device.</summary>
    public bool IsThere => _packed is not null;

    /// <summary>Copies codes and scales to memory of their own.</summary>
    public DeviceNf4 Send()
    {
        var source = _weight.Source;
        var (blocks, bytes) = (Nf4Codebook.Blocks(source.Count), Nf4Codebook.PackedBytes(source.Count));
        // Whole blocks: what lies behind the last element is never handed out.
        _packed = _heap.Take(DeviceUse.Weights, blocks * PackedBlock, ScalarType.Byte);
        using (var rest = _packed.narrow(0, bytes, blocks * PackedBlock - bytes)) rest.zero_();
        using (var room = _packed.narrow(0, 0, bytes))
        using (var packed = TorchMemory.View(source.Packed, [bytes], [1])) room.copy_(packed);
        _scales = _isNested ? Sent(source.Codes, blocks) : Sent(source.Absmax, blocks);
        GC.KeepAlive(_weight);
        return this;
    }

    /// <summary>Uses codes and scales that lie in a room, until <see cref="Lift"/>.</summary>
    /// <param name="room">Bytes of the room.</param>
    /// <param name="packed">Where the codes begin.</param>
    /// <param name="scales">Where the scales begin.</param>
    public void Place(Tensor room, long packed, long scales)
    {
        Lift();
        var blocks = Nf4Codebook.Blocks(_weight.Source.Count);
        using var scope = NewDisposeScope();
        _packed = room.narrow(0, packed, blocks * PackedBlock).DetachFromDisposeScope();
        _scales = _isNested ? room.narrow(0, scales, blocks).DetachFromDisposeScope()
            : TorchMemory.Retyped(room.narrow(0, scales, blocks * sizeof(float)), ScalarType.Float32).DetachFromDisposeScope();
        _isPlaced = true;
    }

    /// <summary>Leaves the room.</summary>
    public void Lift()
    {
        if (!_isPlaced) return;
        _packed?.Dispose();
        _scales?.Dispose();
        (_packed, _scales, _isPlaced) = (null, null, false);
    }

    /// <summary>Rows (count, columns) written out. They belong to the scope of the caller.</summary>
    public Tensor Rows(Nf4Tables tables, long begin, long count, ScalarType type)
    {
        var (first, end) = (begin * _weight.Columns, (begin + count) * _weight.Columns);
        // A row may begin inside a block.
        var (block, blocks) = (first / Nf4Codebook.BlockSize, Nf4Codebook.Blocks(end) - first / Nf4Codebook.BlockSize);
        using var scope = NewDisposeScope();
        var codes = _packed!.narrow(0, block * PackedBlock, blocks * PackedBlock).to(ScalarType.Int32);
        var values = TorchMemory.Retyped(tables.Pairs.index_select(0, codes), ScalarType.Float32).view(blocks, Nf4Codebook.BlockSize);
        values.mul_(Absmax(block, blocks).unsqueeze(1));
        return values.flatten().narrow(0, first - block * Nf4Codebook.BlockSize, end - first).view(count, _weight.Columns).to(type).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        Lift();
        foreach (var own in new[] { _packed, _scales, _nested, _map })
            if (own is not null) _heap.Give(DeviceUse.Weights, own);
        (_packed, _scales) = (null, null);
    }

    private Tensor Absmax(long block, long blocks)
    {
        var scales = _scales!.narrow(0, block, blocks);
        if (_map is null) return scales;
        var nested = arange(block, block + blocks, dtype: ScalarType.Int64, device: _packed!.device).div(Nf4Codebook.NestedBlockSize, RoundingMode.floor)
            .to(ScalarType.Int64);
        return (_map.index_select(0, scales.to(ScalarType.Int32)) * _nested!.index_select(0, nested)).add_(_weight.Source.Offset);
    }

    private Tensor Sent<T>(T* values, long count)
        where T : unmanaged
    {
        var there = _heap.Take(DeviceUse.Weights, count, typeof(T) == typeof(float) ? ScalarType.Float32 : ScalarType.Byte);
        using var view = TorchMemory.View(values, [count], [1]);
        there.copy_(view);
        return there;
    }
}
