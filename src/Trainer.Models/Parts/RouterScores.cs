namespace Trainer.Models.Parts;

/// <summary>How a router's logits become scores.</summary>
public enum RouterScores
{
    /// <summary>Softmax over all experts; divided by the sum of the chosen it is the softmax over those.</summary>
    Softmax,
    /// <summary>Each logit by itself: 1 / (1 + exp(-logit)).</summary>
    Sigmoid,
}
