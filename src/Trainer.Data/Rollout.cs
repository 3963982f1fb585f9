namespace Trainer.Data;

/// <summary>What is known of a micro-batch whose answers the model made up itself.</summary>
/// <param name="Advantages">How much better than its group each answer is, one a segment.</param>
/// <param name="SampledLosses">Token losses of the model that made the answers up, length T; null where it is the model that is trained.</param>
/// <param name="Measured">What was measured of all answers of the step, by TRL's names; in one micro-batch of the step.</param>
public sealed record Rollout(float[] Advantages, float[]? SampledLosses, IReadOnlyDictionary<string, double> Measured);
