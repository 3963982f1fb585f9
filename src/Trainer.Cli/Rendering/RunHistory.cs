using Trainer.Cli.Reports;
using Trainer.Training;
using Trainer.Training.Records;

namespace Trainer.Cli.Rendering;

/// <summary>What has happened in a run so far, for whoever draws it.</summary>
internal sealed class RunHistory : ITrainingObserver
{
    private readonly Smoothing _smoothed = new();

    public RunStarted? Started { get; private set; }
    public RunEnded? Ended { get; private set; }
    public List<StepDone> Steps { get; } = [];
    public List<EvalDone> Evals { get; } = [];
    public List<Sampled> Samples { get; } = [];
    public List<Noted> Warnings { get; } = [];
    public Saved? LastSaved { get; private set; }
    public PhaseProgressed? Phase { get; private set; }
    public EvalDone? BestEval { get; private set; }

    /// <summary>Running mean of the logged losses: the rows of metrics.jsonl, so that the report shows the same number.</summary>
    public double SmoothedLoss => _smoothed.Value;

    public void On(TrainingEvent trainingEvent)
    {
        switch (trainingEvent)
        {
            case RunStarted started:
                Started = started;
                Phase = null;
                break;
            case StepDone step:
                Steps.Add(step);
                if (step.IsLogged) _smoothed.Add(step.Step, step.Loss);
                Phase = null;
                break;
            case EvalDone eval:
                Evals.Add(eval);
                if (EvalMetric.IsBetter(eval.Metric, eval.Value, BestEval?.Value)) BestEval = eval;
                Phase = null;
                break;
            case PhaseProgressed phase:
                Phase = phase.Done >= phase.Total ? null : phase;
                break;
            case Sampled sample:
                Samples.Add(sample);
                break;
            case Saved saved:
                LastSaved = saved;
                Phase = null;
                break;
            case Noted { IsWarning: true } warning:
                Warnings.Add(warning);
                break;
            case RunEnded ended:
                Ended = ended;
                break;
            default:
                break;
        }
    }

    /// <summary>Seconds until the last step at the pace of the last steps, or null before the second.</summary>
    public double? SecondsLeft()
    {
        if (Started is null || Steps.Count < 2) return null;
        var from = Steps[Math.Max(0, Steps.Count - 1 - 20)];
        var last = Steps[^1];
        var pace = (last.ElapsedSeconds - from.ElapsedSeconds) / (last.Step - from.Step);
        return pace > 0 ? pace * (Started.MaxSteps - last.Step) : null;
    }
}
