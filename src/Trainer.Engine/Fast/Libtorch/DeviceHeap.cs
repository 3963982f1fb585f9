using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Native;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>What the kernels keep in a device's memory, counted to the byte; where there is no room for more, the fault says what is held and what was
/// wanted.</summary>
/// <param name="device">The device.</param>
/// <param name="limit">Most bytes that may be held; null is what the device gives.</param>
/// <remarks>The reader of a streamed base takes its rooms here too, from its own thread.</remarks>
internal sealed class DeviceHeap(Device device, long? limit = null)
{
    private readonly Dictionary<DeviceUse, long> _held = [];

    public Device Device => device;

    /// <summary>Bytes held.</summary>
    public long Bytes
    {
        get
        {
            lock (_held) return _held.Values.Sum();
        }
    }

    /// <summary>Bytes held for one use.</summary>
    public long Of(DeviceUse use)
    {
        lock (_held) return _held.GetValueOrDefault(use);
    }

    /// <summary>Elements, not cleared; outside every scope.</summary>
    /// <exception cref="DeviceMemoryException">There is no room.</exception>
    public Tensor Take(DeviceUse use, long count, ScalarType type)
    {
        lock (_held)
        {
            var bytes = count * SizeOf(type);
            if (limit is { } most && _held.Values.Sum() + bytes > most) throw NoRoom(use, bytes, null);
            try
            {
                using var outside = NewDisposeScope();
                var tensor = empty(count, dtype: type, device: device).DetachFromDisposeScope();
                _held[use] = _held.GetValueOrDefault(use) + bytes;
                return tensor;
            }
            catch (ExternalException fault) when (DeviceMemoryException.Is(fault))
            {
                throw NoRoom(use, bytes, fault);
            }
        }
    }

    /// <summary>Gives back what was taken.</summary>
    public void Give(DeviceUse use, Tensor tensor)
    {
        lock (_held) _held[use] -= tensor.numel() * tensor.ElementSize;
        tensor.Dispose();
    }

    private static long SizeOf(ScalarType type) => type switch
    {
        ScalarType.Byte => 1,
        ScalarType.BFloat16 or ScalarType.Float16 => sizeof(ushort),
        ScalarType.Float32 => sizeof(float),
        _ => sizeof(long),
    };

    private DeviceMemoryException NoRoom(DeviceUse use, long bytes, Exception? inner)
    {
        var held = string.Join(", ", _held.Where(each => each.Value > 0).Select(each => $"{DeviceMemoryException.Amount(each.Value)} for {NameOf(each.Key)}"));
        return new($"the device has no room for {DeviceMemoryException.Amount(bytes)} more for {NameOf(use)}, where "
            + (held.Length == 0 ? "nothing" : held) + (held.Length == 0 ? " is held yet" : " are held")
            + (limit is { } most ? $" of {DeviceMemoryException.Amount(most)}" : ""), inner);
    }

    private static string NameOf(DeviceUse use) => use switch
    {
        DeviceUse.Weights => "weights of the base",
        DeviceUse.Rooms => "streamed layers",
        _ => "buffers of a pass",
    };
}
