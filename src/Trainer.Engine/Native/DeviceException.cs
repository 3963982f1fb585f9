namespace Trainer.Engine.Native;

/// <summary>The device that was asked for is not there, or cannot be used.</summary>
public sealed class DeviceException : Exception
{
    /// <summary>With the message for the user.</summary>
    public DeviceException(string message)
        : base(message)
    {
    }
}
