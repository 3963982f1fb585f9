namespace Trainer.Training.Plan;

/// <summary>One part of a run's time.</summary>
/// <param name="Name">What it is: start, steps, evaluations, checkpoints, ...</param>
/// <param name="Seconds">How long it takes.</param>
public sealed record TimePart(string Name, double Seconds);
