using Trainer.Training.Steps;

namespace Trainer.Training.Optimizers;

/// <summary>Every optimizer, once.</summary>
public static class OptimizerTable
{
    private static readonly OptimizerKind[] All =
    [
        new("adamw", [], setup => new AdamW(setup), (_, shape) => 8 * OptimizerKind.Count(shape)),
        new("adamw-8bit", AdamW8Bit.Arguments, setup => new AdamW8Bit(setup), AdamW8Bit.StateBytes),
        new("adam", [], setup => new Adam(setup), (_, shape) => 8 * OptimizerKind.Count(shape)),
        new("sgd", Sgd.Arguments, setup => new Sgd(setup), Sgd.StateBytes),
        new("adafactor", Adafactor.Arguments, setup => new Adafactor(setup), Adafactor.StateBytes),
        new("lion", [], setup => new Lion(setup), (_, shape) => 4 * OptimizerKind.Count(shape)),
        new("muon", Muon.Arguments, setup => new Muon(setup), Muon.StateBytes),
        new("adagrad", Adagrad.Arguments, setup => new Adagrad(setup), (_, shape) => 4 * OptimizerKind.Count(shape)),
        new("rmsprop", RmsProp.Arguments, setup => new RmsProp(setup), RmsProp.StateBytes),
        new(ScheduleFreeAdamW, ScheduleFree.OfAdamW, setup => new ScheduleFree(setup, isAdam: true), (_, shape) => 8 * OptimizerKind.Count(shape)),
        new(ScheduleFreeSgd, ScheduleFree.OfSgd, setup => new ScheduleFree(setup, isAdam: false), (_, shape) => 4 * OptimizerKind.Count(shape)),
    ];

    private const string ScheduleFreeAdamW = "schedule-free-adamw", ScheduleFreeSgd = "schedule-free-sgd";

    /// <summary>Whether an optimizer takes no schedule: its average stands for one.</summary>
    internal static bool IsScheduleFree(string name) => name is ScheduleFreeAdamW or ScheduleFreeSgd;

    /// <summary>The words that <c>--optim</c> takes.</summary>
    public static IReadOnlyList<string> Names => [.. All.Select(kind => kind.Name)];

    /// <summary>The optimizer of a run, its state at 0.</summary>
    /// <exception cref="OptionException">It does not know an argument, or the value of one.</exception>
    internal static IOptimizer Make(IParameterStore parameters, TrainingOptions options) =>
        Find(options.Optim).Make(new OptimizerSetup(
            parameters.Tensors, parameters.Length, ParameterGroups.Of(parameters.Tensors, options.Lora.LoraPlusRatio, options.LearningRate, options.LrPattern),
            options, ArgumentsOf(options)));

    /// <summary>Bytes of state that a run's optimizer holds, in memory and in each checkpoint.</summary>
    /// <param name="options">The run.</param>
    /// <param name="shapes">Shape of each trained tensor.</param>
    internal static long StateBytes(TrainingOptions options, IEnumerable<long[]> shapes)
    {
        var (kind, arguments) = (Find(options.Optim), ArgumentsOf(options));
        return shapes.Sum(shape => kind.StateBytes(arguments, shape));
    }

    /// <summary>Refuses what <see cref="Make"/> would refuse.</summary>
    internal static void Check(TrainingOptions options) => Find(options.Optim).Make(new OptimizerSetup([], 0, [], options, ArgumentsOf(options))).Dispose();

    private static Arguments ArgumentsOf(TrainingOptions options)
        => Arguments.Read("--optim-args", options.Optim, Find(options.Optim).Arguments, options.OptimArgs);

    private static OptimizerKind Find(string name) =>
        Array.Find(All, kind => kind.Name == name) ?? throw new OptionException($"--optim '{name}' is no optimizer; use one of {string.Join(", ", Names)}");
}
