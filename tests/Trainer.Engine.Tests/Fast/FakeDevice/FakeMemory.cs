using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

/// <summary>Memory of a device that the host cannot see: its places mean nothing to any kernel but those of the device.</summary>
internal sealed class FakeMemory(FakeKernels device, DeviceMemory real, bool isOwn) : DeviceMemory(real.Bytes)
{
    private bool _isGone;

    /// <summary>Where the values lie, for the device that made it, while the memory is there.</summary>
    public DeviceMemory Real(FakeKernels asking)
    {
        if (asking != device) throw new InvalidOperationException("an operand of another device");
        return _isGone ? throw new InvalidOperationException("memory was given back while an operation on it was still to run") : real;
    }

    public override void Dispose()
    {
        _isGone = true;
        if (isOwn) real.Dispose();
    }
}
