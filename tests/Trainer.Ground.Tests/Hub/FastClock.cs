namespace Trainer.Ground.Tests.Hub;

/// <summary>A clock whose pauses are a thousand times shorter.</summary>
internal sealed class FastClock : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(callback, state, dueTime < TimeSpan.Zero ? dueTime : dueTime / 1000, period);
}
