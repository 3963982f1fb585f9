namespace Trainer.Training.Optimizers;

/// <summary>One row of the table of optimizers: all that the rest of the program needs to know of one before it is made.</summary>
/// <param name="Name">As <c>--optim</c> takes it.</param>
/// <param name="Arguments">What <c>--optim-args</c> may hold.</param>
/// <param name="Make">Makes it, its state at 0.</param>
/// <param name="StateBytes">Bytes of state for a trained tensor of this shape.</param>
internal sealed record OptimizerKind(
    string Name, IReadOnlyList<ArgumentSpec> Arguments, Func<OptimizerSetup, IOptimizer> Make, Func<Arguments, long[], long> StateBytes)
{
    /// <summary>Elements of a shape.</summary>
    public static long Count(long[] shape) => shape.Aggregate(1L, (product, size) => product * size);
}
