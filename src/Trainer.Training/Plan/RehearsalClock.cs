namespace Trainer.Training.Plan;

/// <summary>Measures a short run by what its observers hear; the last of them, so that what the others do with a record counts with it.</summary>
/// <param name="time">The clock.</param>
internal sealed class RehearsalClock(TimeProvider time) : ITrainingObserver
{
    private readonly long _began = time.GetTimestamp();
    private readonly List<double> _steps = [], _evaluations = [], _saves = [];
    private long _mark = time.GetTimestamp();
    private double? _start;

    public void On(TrainingEvent trainingEvent)
    {
        switch (trainingEvent)
        {
            case RunStarted: _start = Since(_began); break;
            case StepDone: _steps.Add(Since(_mark)); break;
            case EvalDone: _evaluations.Add(Since(_mark)); break;
            // What is said of prompts belongs to its evaluation.
            case Sampled when _evaluations.Count > 0: _evaluations[^1] += Since(_mark); break;
            case Saved { IsFinal: false }: _saves.Add(Since(_mark)); break;
            default: return;
        }
        _mark = time.GetTimestamp();
    }

    /// <summary>Seconds of a step when code is compiled and caches are warm.</summary>
    public double StepSeconds => Warm(_steps);

    /// <summary>The time of the whole run: what was measured, and as many steps, evaluations and checkpoints more as it has.</summary>
    /// <param name="before">Seconds before this clock began that the run has too.</param>
    /// <param name="steps">Steps of the run.</param>
    /// <param name="evaluations">Its evaluations.</param>
    /// <param name="saves">Its checkpoints.</param>
    public IReadOnlyList<TimePart> Parts(double before, long steps, long evaluations, long saves)
    {
        var all = Since(_began);
        return
        [
            new("start", before + (_start ?? all)),
            new("steps", Whole(_steps, steps)),
            .. _evaluations.Count > 0 ? [new("evaluations", Whole(_evaluations, evaluations))] : Array.Empty<TimePart>(),
            .. _saves.Count > 0 ? [new("checkpoints", Whole(_saves, saves))] : Array.Empty<TimePart>(),
            new("adapter, proof and report", all - (_start ?? all) - _steps.Sum() - _evaluations.Sum() - _saves.Sum()),
        ];
    }

    private double Since(long mark) => time.GetElapsedTime(mark).TotalSeconds;

    // The first ones are slower, by once and for all: they are counted as they were.
    private static double Whole(List<double> measured, long count) => measured.Sum() + (count - measured.Count) * Warm(measured);

    private static double Warm(List<double> measured)
    {
        var late = measured.Skip(measured.Count * 3 / 4).Order().ToList();
        return late.Count > 0 ? late[late.Count / 2] : 0;
    }
}
