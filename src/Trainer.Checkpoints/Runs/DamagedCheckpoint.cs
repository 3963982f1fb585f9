namespace Trainer.Checkpoints.Runs;

/// <summary>A checkpoint folder that must not be resumed from.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Why">The finished sentence that says what is wrong.</param>
public sealed record DamagedCheckpoint(string Path, string Why);
