namespace Trainer.Checkpoints.Runs;

/// <summary>A checkpoint folder that was verified against its manifest.</summary>
/// <param name="Path">The folder, RUN/checkpoint-N.</param>
/// <param name="Step">Optimizer steps made.</param>
/// <param name="RunId">What the run called itself when it wrote it; see <see cref="CheckpointFolder.Write(string, long, string, Action{string})"/>.</param>
/// <param name="Files">The names of its files.</param>
public sealed record Checkpoint(string Path, long Step, string RunId, IReadOnlyList<string> Files);
