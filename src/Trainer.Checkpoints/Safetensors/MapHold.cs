using System.Runtime.InteropServices;

namespace Trainer.Checkpoints.Safetensors;

/// <summary>One more reason not to unmap: the handle's own reference count, given back once.</summary>
internal sealed class MapHold : IDisposable
{
    private SafeHandle? _handle;

    internal MapHold(SafeHandle handle)
    {
        var added = false;
        handle.DangerousAddRef(ref added);
        _handle = handle;
    }

    public void Dispose() => Interlocked.Exchange(ref _handle, null)?.DangerousRelease();
}
