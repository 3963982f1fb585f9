namespace Trainer.Training;

/// <summary>What one replayed step came to.</summary>
/// <param name="Step">One-based optimizer step.</param>
/// <param name="Loss">Mean token loss.</param>
/// <param name="GradNorm">Global norm before clipping.</param>
/// <param name="LearningRate">Its rate.</param>
/// <param name="IsFinite">Whether loss and norm are finite.</param>
/// <param name="Place">The first layer and tensor that is not finite, or null.</param>
/// <param name="Rows">Loss of each row of the step, with its file and line.</param>
public sealed record ReplayResult(int Step, double Loss, double GradNorm, double LearningRate, bool IsFinite, string? Place, IReadOnlyList<ReplayRow> Rows);
