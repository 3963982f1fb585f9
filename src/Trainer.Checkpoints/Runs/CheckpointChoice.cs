namespace Trainer.Checkpoints.Runs;

/// <summary>What there is to resume from.</summary>
/// <param name="Newest">The newest whole checkpoint, or null where there is none.</param>
/// <param name="Damaged">Newer ones that were passed over, newest first.</param>
public sealed record CheckpointChoice(Checkpoint? Newest, IReadOnlyList<DamagedCheckpoint> Damaged);
