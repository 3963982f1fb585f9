namespace Trainer.Checkpoints.Runs;

/// <summary>Who writes, or wrote, a run folder.</summary>
/// <param name="ProcessId">Its process number.</param>
/// <param name="Host">The machine's name.</param>
/// <param name="StartedUtc">When it took the lock.</param>
public sealed record RunLockOwner(int ProcessId, string Host, DateTimeOffset StartedUtc);
