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
/// </remarks>
internal sealed unsafe class DeviceNf4 : IDisposable
{
    private const int PackedBlock = Nf4Codebook.BlockSize / 2;
    private readonly long _columns;
    private readonly Tensor _packed;
    private readonly Tensor _scales;
    private readonly Tensor? _nested;
    private readonly Tensor? _map;
    private readonly float _offset;

    private DeviceNf4(Nf4Weight weight, Device device)
    {
        var source = weight.Source;
        var (blocks, bytes) = (Nf4Codebook.Blocks(source.Count), Nf4Codebook.PackedBytes(source.Count));
        (_columns, _offset) = (weight.Columns, source.Offset);
        // Whole blocks: what lies behind the last element is never handed out.
        _packed = zeros(blocks * PackedBlock, dtype: ScalarType.Byte, device: device).DetachFromDisposeScope();
        using (var room = _packed.narrow(0, 0, bytes))
        using (var packed = TorchMemory.View(source.Packed, [bytes], [1])) room.copy_(packed).Dispose();
        if (source.Absmax != null)
        {
            _scales = Sent(source.Absmax, blocks, device);
            return;
        }
        _scales = Sent(source.Codes, blocks, device);
        _nested = Sent(source.NestedAbsmax, Nf4Codebook.NestedBlocks(source.Count), device);
        _map = Sent(source.NestedMap, 256, device);
        GC.KeepAlive(weight);
    }

    /// <summary>Copies a matrix to a device.</summary>
    public static DeviceNf4 Send(Nf4Weight weight, Device device) => new(weight, device);

    /// <summary>Rows (count, columns) written out. They belong to the scope of the caller.</summary>
    public Tensor Rows(Nf4Tables tables, long begin, long count, ScalarType type)
    {
        var (first, end) = (begin * _columns, (begin + count) * _columns);
        // A row may begin inside a block.
        var (block, blocks) = (first / Nf4Codebook.BlockSize, Nf4Codebook.Blocks(end) - first / Nf4Codebook.BlockSize);
        using var scope = NewDisposeScope();
        var codes = _packed.narrow(0, block * PackedBlock, blocks * PackedBlock).to(ScalarType.Int32);
        var values = TorchMemory.Retyped(tables.Pairs.index_select(0, codes), ScalarType.Float32).view(blocks, Nf4Codebook.BlockSize);
        values.mul_(Absmax(block, blocks).unsqueeze(1));
        return values.flatten().narrow(0, first - block * Nf4Codebook.BlockSize, end - first).view(count, _columns).to(type).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _packed.Dispose();
        _scales.Dispose();
        _nested?.Dispose();
        _map?.Dispose();
    }

    private Tensor Absmax(long block, long blocks)
    {
        var scales = _scales.narrow(0, block, blocks);
        if (_map is null) return scales;
        var nested = arange(block, block + blocks, dtype: ScalarType.Int64, device: _packed.device).div(Nf4Codebook.NestedBlockSize, RoundingMode.floor)
            .to(ScalarType.Int64);
        return (_map.index_select(0, scales.to(ScalarType.Int32)) * _nested!.index_select(0, nested)).add_(_offset);
    }

    private static Tensor Sent<T>(T* values, long count, Device device)
        where T : unmanaged
    {
        using var view = TorchMemory.View(values, [count], [1]);
        return view.to(device, copy: true).DetachFromDisposeScope();
    }
}
