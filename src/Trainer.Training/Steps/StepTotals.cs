namespace Trainer.Training;

/// <summary>What the gradients of one step came with.</summary>
/// <param name="Loss">Mean loss of the step.</param>
/// <param name="GradNorm">Global norm of the gradients, before clipping.</param>
/// <param name="StopAsked">Whether a rank was asked to stop; all ranks get the same answer.</param>
internal readonly record struct StepTotals(double Loss, double GradNorm, bool StopAsked);
