namespace Trainer.Training;

/// <summary>
/// The learning rate as a pure function of the optimizer step, so that resuming needs no scheduler state.
/// The first step (index 0) uses rate(0): with warm-up that is 0, as transformers' get_*_schedule_with_warmup has it.
/// </summary>
/// <remarks>
/// With s the zero-based step, W warm-up steps and N steps in all:
/// warm-up peak * s / W for s below W; then with p = (s - W) / (N - W):
/// linear min + (peak - min) * (1 - p), cosine min + (peak - min) * (1 + cos(pi p)) / 2, constant peak,
/// WSD peak until the last tenth of N and from there a straight line to min.
/// </remarks>
public sealed class LearningRate
{
    private readonly LrScheduler _kind;
    private readonly double _peak;
    private readonly double _minimum;

    /// <summary>Makes a schedule.</summary>
    /// <param name="kind">Its shape.</param>
    /// <param name="peak">Highest rate.</param>
    /// <param name="minimum">Lowest rate after the peak.</param>
    /// <param name="warmup">Warm-up steps, or a ratio of all steps when below 1 (rounded up, as transformers does).</param>
    /// <param name="totalSteps">Optimizer steps in all.</param>
    public LearningRate(LrScheduler kind, double peak, double minimum, double warmup, int totalSteps)
    {
        (_kind, _peak, _minimum, TotalSteps) = (kind, peak, minimum, totalSteps);
        WarmupSteps = warmup < 1 ? (int)Math.Ceiling(warmup * totalSteps) : (int)warmup;
    }

    /// <summary>Steps of the linear warm-up.</summary>
    public int WarmupSteps { get; }

    /// <summary>Optimizer steps in all.</summary>
    public int TotalSteps { get; }

    /// <summary>The rate of one step.</summary>
    /// <param name="step">Zero-based optimizer step.</param>
    public double At(int step)
    {
        if (step < WarmupSteps) return _peak * (step / (double)WarmupSteps);
        var progress = (step - WarmupSteps) / (double)Math.Max(1, TotalSteps - WarmupSteps);
        return _kind switch
        {
            LrScheduler.Constant => _peak,
            LrScheduler.Linear => _minimum + (_peak - _minimum) * Math.Max(0, 1 - progress),
            LrScheduler.Cosine => _minimum + (_peak - _minimum) * Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * progress))),
            LrScheduler.Wsd => Decay(step),
            _ => throw new ArgumentOutOfRangeException(nameof(step), _kind, "unknown schedule"),
        };
    }

    private double Decay(int step)
    {
        var decaySteps = Math.Max(1, TotalSteps / 10);
        var begin = Math.Max(WarmupSteps, TotalSteps - decaySteps);
        if (step < begin) return _peak;
        return _minimum + (_peak - _minimum) * Math.Max(0, (TotalSteps - step) / (double)Math.Max(1, TotalSteps - begin));
    }
}
