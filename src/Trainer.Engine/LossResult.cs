namespace Trainer.Engine;

/// <summary>What one micro-batch's forward and backward pass gave.</summary>
/// <param name="LossSum">Sum over trained tokens of segment weight times token loss (nats), not scaled by the caller's loss scale.</param>
/// <param name="TrainedTokens">How many tokens carried loss.</param>
public readonly record struct LossResult(double LossSum, int TrainedTokens)
{
    /// <summary>What the routers' balancing term added to <see cref="LossSum"/>.</summary>
    public double Balance { get; init; }
}
