using System.Globalization;
using System.Runtime.InteropServices;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;

namespace Trainer.Engine.Fast.Libtorch;

/// <summary>Copies to a card of NVIDIA's on a stream of their own, by the driver's library.</summary>
/// <remarks>
/// libtorch's operations go to the driver's default stream. This one does not wait for it, nor that for this one, but where an event is waited for.
/// Memory lies in the card's primary context, which libtorch uses too; each thread has a current context of its own, so every call enters it first.
/// </remarks>
internal sealed unsafe class CudaCopies : IDisposable
{
    private const uint NonBlocking = 1;
    private const uint WithoutTimes = 2;
    private const int OutOfMemory = 2;
    private readonly IntPtr _library;
    private readonly int _card;
    private readonly IntPtr _context;
    private readonly IntPtr _stream;
    private readonly Dictionary<DeviceMemory, Copied> _events = [];

    /// <summary>A queue for a card.</summary>
    /// <param name="card">Its number, counted from 0.</param>
    /// <param name="library">The driver's library.</param>
    /// <exception cref="DeviceException">The driver refuses.</exception>
    public CudaCopies(int card, string library)
    {
        _library = NativeLibrary.Load(library);
        int device;
        IntPtr context, stream;
        Require("cuDeviceGet", ((delegate* unmanaged[Cdecl]<int*, int, int>)Of("cuDeviceGet"))(&device, card));
        Require("cuDevicePrimaryCtxRetain", ((delegate* unmanaged[Cdecl]<IntPtr*, int, int>)Of("cuDevicePrimaryCtxRetain"))(&context, device));
        (_card, _context) = (device, context);
        Enter();
        Require("cuStreamCreate", ((delegate* unmanaged[Cdecl]<IntPtr*, uint, int>)Of("cuStreamCreate"))(&stream, NonBlocking));
        _stream = stream;
    }

    /// <summary>Locks memory of the host in place, so that a copy from it need not wait; where the system does not allow it, copies do wait.</summary>
    public void Pin(void* start, long bytes)
    {
        Enter();
        _ = ((delegate* unmanaged[Cdecl]<void*, nuint, uint, int>)Of("cuMemHostRegister_v2"))(start, (nuint)bytes, 0);
    }

    /// <summary>Lets it go again.</summary>
    public void Unpin(void* start)
    {
        Enter();
        _ = ((delegate* unmanaged[Cdecl]<void*, int>)Of("cuMemHostUnregister"))(start);
    }

    /// <summary>Queues a copy.</summary>
    /// <param name="source">In memory of the host that stays as it is until the event.</param>
    /// <param name="room">Whose room it is; each has one event, which is that of its latest copy.</param>
    /// <param name="target">Its address on the card.</param>
    /// <param name="bytes">How much.</param>
    public IDeviceEvent Send(void* source, DeviceMemory room, IntPtr target, long bytes)
    {
        Enter();
        if (!_events.TryGetValue(room, out var copied))
        {
            IntPtr made;
            Require("cuEventCreate", ((delegate* unmanaged[Cdecl]<IntPtr*, uint, int>)Of("cuEventCreate"))(&made, WithoutTimes));
            _events[room] = copied = new Copied(this, made);
        }
        Require("cuMemcpyHtoDAsync", ((delegate* unmanaged[Cdecl]<IntPtr, void*, nuint, IntPtr, int>)Of("cuMemcpyHtoDAsync_v2"))(target, source, (nuint)bytes,
            _stream));
        Require("cuEventRecord", ((delegate* unmanaged[Cdecl]<IntPtr, IntPtr, int>)Of("cuEventRecord"))(copied.Handle, _stream));
        return copied;
    }

    /// <summary>Operations that are queued from now on begin after a copy.</summary>
    public void After(IDeviceEvent copy)
    {
        Enter();
        Require("cuStreamWaitEvent",
            ((delegate* unmanaged[Cdecl]<IntPtr, IntPtr, uint, int>)Of("cuStreamWaitEvent"))(IntPtr.Zero, ((Copied)copy).Handle, 0));
    }

    public void Dispose()
    {
        Enter();
        foreach (var copied in _events.Values) _ = ((delegate* unmanaged[Cdecl]<IntPtr, int>)Of("cuEventDestroy_v2"))(copied.Handle);
        _ = ((delegate* unmanaged[Cdecl]<IntPtr, int>)Of("cuStreamDestroy_v2"))(_stream);
        _ = ((delegate* unmanaged[Cdecl]<int, int>)Of("cuDevicePrimaryCtxRelease_v2"))(_card);
    }

    private void Enter() => Require("cuCtxSetCurrent", ((delegate* unmanaged[Cdecl]<IntPtr, int>)Of("cuCtxSetCurrent"))(_context));

    private IntPtr Of(string name) => NativeLibrary.GetExport(_library, name);

    private static void Require(string name, int code)
    {
        if (code == OutOfMemory) throw new DeviceMemoryException($"{name} of the driver finds no room on the card");
        if (code != 0) throw new DeviceException(string.Create(CultureInfo.InvariantCulture, $"the driver of NVIDIA cards refuses: {name} gives {code}"));
    }

    private sealed class Copied(CudaCopies queue, IntPtr handle) : IDeviceEvent
    {
        public IntPtr Handle => handle;

        public void Wait()
        {
            queue.Enter();
            Require("cuEventSynchronize", ((delegate* unmanaged[Cdecl]<IntPtr, int>)queue.Of("cuEventSynchronize"))(handle));
        }
    }
}
