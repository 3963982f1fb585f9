namespace Trainer.Engine.Fast.Operations;

/// <summary>A point in what was queued on a device.</summary>
internal interface IDeviceEvent
{
    /// <summary>Returns once everything queued before the point is done.</summary>
    void Wait();
}
