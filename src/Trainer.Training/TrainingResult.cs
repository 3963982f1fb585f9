namespace Trainer.Training;

/// <summary>What a finished run came to.</summary>
/// <param name="Steps">Optimizer steps made, those before a resume included.</param>
/// <param name="TrainLoss">Mean loss over the run.</param>
/// <param name="BestEvalLoss">Lowest held-out loss, or null.</param>
/// <param name="Reason">Why it ended, in words.</param>
/// <param name="AdapterDirectory">The folder with the final adapter.</param>
/// <param name="AdapterSha256">Of adapter_model.safetensors, in hexadecimal.</param>
public sealed record TrainingResult(int Steps, double TrainLoss, double? BestEvalLoss, string Reason, string AdapterDirectory, string AdapterSha256);
