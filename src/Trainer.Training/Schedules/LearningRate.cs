namespace Trainer.Training.Schedules;

/// <summary>
/// The learning rate as a function of the optimizer step (and, on a plateau, of the evaluations so far), so that resuming needs no scheduler state.
/// The first step (index 0) uses rate(0): with warm-up that is 0, as transformers' get_*_schedule_with_warmup has it.
/// </summary>
internal sealed class LearningRate
{
    private readonly Schedule _schedule;
    private readonly Arguments _arguments;
    private readonly Func<int, double> _rate;
    private readonly Plateau _plateau;
    private readonly double _peak;

    /// <summary>Makes the schedule of a run.</summary>
    /// <param name="options">The run.</param>
    /// <param name="totalSteps">Optimizer steps in all.</param>
    /// <param name="plateau">What evaluations did to the rate so far; changed by <see cref="Evaluated"/>.</param>
    /// <exception cref="OptionException">The schedule or one of its arguments is not what it may be.</exception>
    public LearningRate(TrainingOptions options, int totalSteps, Plateau plateau)
    {
        (_peak, _plateau, TotalSteps) = (options.LearningRate, plateau, totalSteps);
        _schedule = ScheduleTable.Find(options.LrScheduler);
        _arguments = Arguments.Read("--lr-scheduler-args", _schedule.Name, _schedule.Arguments, options.LrSchedulerArgs);
        WarmupSteps = Steps(options, totalSteps);
        _rate = _schedule.Make(new ScheduleSetup(_peak, options.MinLr, WarmupSteps, totalSteps, _arguments));
    }

    /// <summary>Steps of warm-up.</summary>
    public int WarmupSteps { get; }

    /// <summary>Optimizer steps in all.</summary>
    public int TotalSteps { get; }

    /// <summary>The rate of one step.</summary>
    /// <param name="step">Zero-based optimizer step.</param>
    public double At(int step) => _schedule.IsPlateau ? _plateau.Rate ?? _peak : _rate(step);

    /// <summary>Hears an evaluation after at least one step.</summary>
    /// <param name="value">What was measured.</param>
    public void Evaluated(double value)
    {
        if (_schedule.IsPlateau) _plateau.Evaluated(_arguments, _peak, value);
    }

    /// <summary>A ratio is rounded up, as transformers does. A run of one step has no warm-up: its only rate would be 0, and nothing would be
    /// trained.</summary>
    private static int Steps(TrainingOptions options, int totalSteps)
    {
        if (totalSteps <= 1) return 0;
        if (options.WarmupRatio is { } ratio) return (int)Math.Ceiling(ratio * totalSteps);
        return options.WarmupSteps < 1 ? (int)Math.Ceiling(options.WarmupSteps * totalSteps) : (int)options.WarmupSteps;
    }
}
