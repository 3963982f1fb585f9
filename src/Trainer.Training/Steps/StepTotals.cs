namespace Trainer.Training.Steps;

/// <summary>What the gradients of one step came with.</summary>
/// <param name="Loss">Mean loss of the step.</param>
/// <param name="GradNorm">Global norm of the gradients, before clipping.</param>
/// <param name="Metrics">What else the objective measured.</param>
/// <param name="StopAsked">Whether a rank was asked to stop; all ranks get the same answer.</param>
/// <param name="IsShortOfMemory">Whether a rank has too little memory; all ranks get the same answer.</param>
internal sealed record StepTotals(double Loss, double GradNorm, IReadOnlyDictionary<string, double> Metrics, bool StopAsked, bool IsShortOfMemory);
