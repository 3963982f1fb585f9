namespace Trainer.Training.Optimizers;

/// <summary>Every optimizer, once.</summary>
public static class OptimizerTable
{
    private static readonly OptimizerKind[] All =
    [
        new("adamw", setup => new AdamW(setup), shape => 8 * OptimizerKind.Count(shape)),
        new("sgd", setup => new Sgd(setup), _ => 0),
    ];

    /// <summary>The words that <c>--optim</c> takes.</summary>
    public static IReadOnlyList<string> Names => [.. All.Select(kind => kind.Name)];

    /// <summary>The optimizer of a run, its state at 0.</summary>
    internal static IOptimizer Make(IParameterStore parameters, TrainingOptions options) => Find(options.Optim).Make(OptimizerSetup.Of(parameters, options));

    /// <summary>Bytes of state that a run's optimizer holds, in memory and in each checkpoint.</summary>
    /// <param name="options">The run.</param>
    /// <param name="shapes">Shape of each trained tensor.</param>
    internal static long StateBytes(TrainingOptions options, IEnumerable<long[]> shapes) => shapes.Sum(Find(options.Optim).StateBytes);

    /// <exception cref="OptionException">There is none of that name.</exception>
    private static OptimizerKind Find(string name) =>
        Array.Find(All, kind => kind.Name == name) ?? throw new OptionException($"--optim '{name}' is no optimizer; use one of {string.Join(", ", Names)}");
}
