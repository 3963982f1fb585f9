namespace Trainer.Numerics.Optimizer;

/// <summary>The numbers of one AdamW step (arXiv 1711.05101): fixed over a range of parameters.</summary>
/// <param name="LearningRate">Rate of this step and range.</param>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="WeightDecay">Decoupled decay: parameters shrink by learning rate times this.</param>
/// <param name="GradientScale">Multiplies each gradient first: 1 / trained tokens, times the clip factor.</param>
/// <param name="Step">1 for the first step; used for the bias correction.</param>
public readonly record struct AdamWStep(
    double LearningRate, double Beta1, double Beta2, double Epsilon, double WeightDecay, double GradientScale, int Step);
