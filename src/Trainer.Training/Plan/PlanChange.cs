namespace Trainer.Training.Plan;

/// <summary>One change of the options that makes a run smaller.</summary>
/// <param name="Option">As the user would type it.</param>
/// <param name="PeakBytes">The peak with it.</param>
/// <param name="Suffices">Whether the run then fits.</param>
/// <param name="Cost">What it costs, in words.</param>
public sealed record PlanChange(string Option, long PeakBytes, bool Suffices, string Cost);
