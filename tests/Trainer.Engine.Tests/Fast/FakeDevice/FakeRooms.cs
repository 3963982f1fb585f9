using System.Security.Cryptography;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Weights;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

/// <summary>
/// Rooms whose copies run as late as they may: when someone waits for one, or when the device comes to an operation that begins after it. A buffer
/// that is filled again before its copy, an operation that begins before its layer is there, and a room that is filled while its layer is at work turn a
/// test red.
/// </summary>
internal sealed class FakeRooms(FakeKernels device, ILayerRooms inner) : ILayerRooms
{
    private readonly Queue<Copy> _waiting = new();
    private readonly Dictionary<IFrozenWeight, Copy> _of = [];
    private readonly Dictionary<DeviceMemory, Copy> _last = [];

    /// <summary>Copies that were queued.</summary>
    public int Sent { get; private set; }

    /// <summary>Rooms that were made.</summary>
    public int Made { get; private set; }

    /// <summary>Layers' matrices that were used from rooms.</summary>
    public long Used { get; private set; }

    public NativeBlock Pin(long bytes) => inner.Pin(bytes);

    public void Unpin(NativeBlock block) => inner.Unpin(block);

    public DeviceMemory Room(long bytes)
    {
        Made++;
        return new FakeMemory(device, inner.Room(bytes), isOwn: true);
    }

    public IDeviceEvent? Send(NativeBlock source, DeviceMemory room, long bytes)
    {
        lock (_waiting)
        {
            var copy = new Copy(this, source, room, bytes, Hash(source, bytes));
            _waiting.Enqueue(copy);
            _last[room] = copy;
            Sent++;
            return copy;
        }
    }

    public void After(IDeviceEvent? copy)
    {
        if (copy is not null) device.Queue(copy.Wait);
    }

    public void Place(IFrozenWeight weight, DeviceMemory room, IReadOnlyList<long> parts)
    {
        lock (_waiting) _of[weight] = _last[room];
        device.Queue(() => inner.Place(weight, ((FakeMemory)room).Real(device), parts));
    }

    public void Lift(IFrozenWeight weight)
    {
        _of.Remove(weight);
        device.Queue(() => inner.Lift(weight));
    }

    public void Keep(IFrozenWeight weight) => inner.Keep(weight);

    /// <summary>The copy that an operation reads, asked for as it is queued; null for a matrix that lies in no room.</summary>
    public Copy? Launch(IFrozenWeight weight)
    {
        if (!_of.TryGetValue(weight, out var copy)) return null;
        Used++;
        return copy;
    }

    private static unsafe string Hash(NativeBlock source, long bytes)
        => Convert.ToHexString(SHA256.HashData(new ReadOnlySpan<byte>(source.Start, checked((int)bytes))));

    /// <summary>One copy, and its end.</summary>
    public sealed class Copy(FakeRooms rooms, NativeBlock source, DeviceMemory room, long bytes, string hash) : IDeviceEvent
    {
        private bool _isDone;

        public void Wait()
        {
            lock (rooms._waiting)
            {
                // In order, up to this one.
                while (!_isDone) rooms._waiting.Dequeue().Run();
            }
        }

        /// <summary>What an operation on the layer needs when it runs.</summary>
        public void RequireThere()
        {
            lock (rooms._waiting)
            {
                if (!_isDone) throw new InvalidOperationException("an operation began before the copy of its layer");
                if (rooms._last[room] is var last && last != this && last._isDone)
                    throw new InvalidOperationException("a room was filled again while an operation on its layer was still to run");
            }
        }

        private void Run()
        {
            if (Hash(source, bytes) != hash) throw new InvalidOperationException("a pinned buffer was filled again before its copy was done");
            rooms.Inner.Send(source, ((FakeMemory)room).Real(rooms.Device), bytes);
            _isDone = true;
        }
    }

    private ILayerRooms Inner => inner;

    private FakeKernels Device => device;
}
