using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Fast.Streaming;

/// <summary>Layers that are sent on to a device: read as another source reads them, gathered in one of two pinned buffers of the host, copied from there into
/// a room of the device.</summary>
/// <remarks>
/// The reader fills one buffer while the copy from the other runs; a buffer is filled again only once its copy is done. A room is handed on only once
/// what was queued with its layer is done (see <see cref="LayerStream"/>), and operations on a layer begin after its copy.
/// </remarks>
internal sealed unsafe class DeviceLayers : ILayerSource
{
    private const int Buffers = 2;

    // Types of the parts are at most 4 bytes wide, and 4-bit matrices are read by blocks of 32 bytes.
    private const long Alignment = 64;

    private readonly ILayerSource _host;
    private readonly StreamedLayout _layout;
    private readonly ILayerRooms _rooms;
    private readonly long _roomBytes;
    private readonly NativeBlock?[] _pinned = new NativeBlock?[Buffers];
    private readonly IDeviceEvent?[] _read = new IDeviceEvent?[Buffers];
    private readonly DeviceMemory?[] _of;
    private readonly IDeviceEvent?[] _copied;
    private readonly bool[] _isPlaced;
    private readonly Stack<DeviceMemory> _free = new();
    private int _turn;

    /// <summary>Owns the source.</summary>
    public DeviceLayers(ILayerSource host, StreamedLayout layout, ILayerRooms rooms)
    {
        (_host, _layout, _rooms, _roomBytes) = (host, layout, rooms, RoomBytes(layout));
        (_of, _copied, _isPlaced) = (new DeviceMemory?[layout.Layers], new IDeviceEvent?[layout.Layers], new bool[layout.Layers]);
    }

    public string Description => $"{_host.Description} and sent to the device";

    /// <summary>Bytes of a room: the largest layer's.</summary>
    public static long RoomBytes(StreamedLayout layout)
        => layout.Weights.Max(weights => weights.Sum(weight => weight.MappedParts.Sum(part => Up(part.Length))));

    public IntPtr Find(int layer, IntPtr mapped) => _host.Find(layer, mapped);

    public void Load(int layer, CancellationToken stop)
    {
        _host.Load(layer, stop);
        try
        {
            _turn = (_turn + 1) % Buffers;
            var pinned = _pinned[_turn] ??= _rooms.Pin(_roomBytes);
            _read[_turn]?.Wait();
            long at = 0;
            foreach (var (start, length) in _layout.Weights[layer].SelectMany(weight => weight.MappedParts))
            {
                Buffer.MemoryCopy((void*)_host.Find(layer, start), pinned.Start + at, _roomBytes - at, length);
                at += Up(length);
            }
            var room = Take();
            _of[layer] = room;
            _copied[layer] = _read[_turn] = _rooms.Send(pinned, room, at);
        }
        finally
        {
            _host.Release(layer);
        }
    }

    public void Place(int layer)
    {
        var room = _of[layer] ?? throw new InvalidOperationException($"layer {layer} was not loaded");
        if (_isPlaced[layer]) return;
        _isPlaced[layer] = true;
        _rooms.After(_copied[layer]);
        long at = 0;
        foreach (var weight in _layout.Weights[layer])
        {
            var parts = new long[weight.MappedParts.Count];
            for (var p = 0; p < parts.Length; p++)
            {
                parts[p] = at;
                at += Up(weight.MappedParts[p].Length);
            }
            _rooms.Place((IFrozenWeight)weight, room, parts);
        }
    }

    public void Release(int layer)
    {
        if (_isPlaced[layer])
            foreach (var weight in _layout.Weights[layer]) _rooms.Lift((IFrozenWeight)weight);
        _isPlaced[layer] = false;
        if (_of[layer] is { } room)
            lock (_free) _free.Push(room);
        (_of[layer], _copied[layer]) = (null, null);
    }

    public void Dispose()
    {
        for (var layer = 0; layer < _of.Length; layer++) Release(layer);
        foreach (var copy in _read) copy?.Wait();
        foreach (var pinned in _pinned)
            if (pinned is not null) _rooms.Unpin(pinned);
        foreach (var room in _free) room.Dispose();
        _free.Clear();
        _host.Dispose();
    }

    // The reader takes rooms, the computing thread gives them back.
    private DeviceMemory Take()
    {
        lock (_free) return _free.TryPop(out var room) ? room : _rooms.Room(_roomBytes);
    }

    private static long Up(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
