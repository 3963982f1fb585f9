namespace Trainer.Training.Optimizers;

/// <summary>The numbers of one optimizer step.</summary>
/// <param name="Number">1 for the first step of the run.</param>
/// <param name="LearningRate">The schedule's rate; each group multiplies it by its factor.</param>
/// <param name="GradientScale">Multiplies every gradient first: the clipping coefficient.</param>
internal readonly record struct OptimizerStep(int Number, double LearningRate, double GradientScale);
