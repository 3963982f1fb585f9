using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Data;
using Trainer.Models;
using Trainer.Training.Records;

namespace Trainer.Training.Plan;

/// <summary>
/// Gives a small run its time: makes the run itself with a few steps, in a folder that goes again, start, evaluations, checkpoints, adapter and report
/// with it. There they are most of the time, and no sum of passes tells them.
/// </summary>
public static class Rehearsal
{
    // Of a rehearsal, on any machine some seconds.
    private const double MostOperations = 1.5e12;

    // Code is compiled anew while it is found to be used often: a step of a small model takes a third after a hundred of them, and the third evaluation a
    // quarter of the first.
    private const int MostSteps = 120;
    private const int FewestSteps = 4;
    private const int Evaluations = 5;

    private const string Prefix = ".trainer-plan-";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60), Old = TimeSpan.FromHours(1);

    // A layer's parameter is used by one multiplication and one addition a token; the backward pass takes twice as long at most.
    private const double ForwardOperations = 2, StepOperations = 6;

    /// <summary>Whether a run is small enough to be rehearsed.</summary>
    /// <param name="options">The run.</param>
    /// <param name="plan">Its plan, which fits.</param>
    /// <param name="dataset">Its data.</param>
    public static bool Suits(TrainingOptions options, RunPlan plan, Dataset? dataset) => dataset is not null && StepsOf(options, plan, dataset) > 0;

    private static int StepsOf(TrainingOptions options, RunPlan plan, Dataset dataset)
    {
        // Answers are as long as they come, a base to stream is made first, and what is resumed begins elsewhere.
        if (plan.TotalSteps is not { } total || plan.StepsPerEpoch is not > 0 || plan.Stream || options.Objective == "grpo" || options.Resume is not null)
            return 0;
        var step = StepOperations * plan.BaseParameters * dataset.Train.Tokens / plan.StepsPerEpoch.Value;
        var left = MostOperations - Evaluations * ForwardOperations * plan.BaseParameters * (dataset.Eval?.Tokens ?? 0);
        var steps = (int)Math.Clamp(left / step, 0, Math.Min(MostSteps, total));
        return steps >= Math.Min(FewestSteps, total) ? steps : 0;
    }

    /// <summary>The plan with the time of its parts; null where a rehearsal cannot be made, for a reason that the run itself will tell.</summary>
    /// <param name="options">The run.</param>
    /// <param name="plan">Its plan, which fits.</param>
    /// <param name="dataset">Its data, of a run that <see cref="Suits"/>.</param>
    /// <param name="secondsBefore">What this process did already that the run does too.</param>
    /// <param name="observers">Whoever writes in the run folder of given options.</param>
    /// <param name="stop">Ends it.</param>
    /// <exception cref="PlanRefusedException">The measured peak is above the limit.</exception>
    public static RunPlan? Measure(TrainingOptions options, RunPlan plan, Dataset dataset, double secondsBefore,
        Func<string, IReadOnlyList<ITrainingObserver>> observers, CancellationToken stop)
    {
        var steps = StepsOf(options, plan, dataset);
        if (Folder(options.OutputDirectory) is not { } folder) return null;
        IReadOnlyList<ITrainingObserver> watching = [];
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(Patience);
        try
        {
            var clock = new RehearsalClock(TimeProvider.System);
            watching = [.. observers(folder), clock];
            TrainingRun.Run(Short(options, folder, steps), watching, patience.Token);
            foreach (var observer in watching.OfType<IDisposable>()) observer.Dispose();
            watching = [];
            var total = plan.TotalSteps!.Value;
            var saves = PlanTime.Saves(options, total, plan.StepsPerEpoch ?? total) - 1;
            var parts = clock.Parts(secondsBefore, total, PlanTime.Evaluations(options, total, plan.StepsPerEpoch ?? total), saves);
            var tokens = dataset.Train.Tokens / (double)plan.StepsPerEpoch!.Value;
            return plan with { MicroStepSeconds = clock.StepSeconds * Math.Min(1, plan.MicroBatchTokens / tokens), StepSeconds = clock.StepSeconds,
                Seconds = parts.Sum(part => part.Seconds), Time = parts };
        }
        catch (Exception fault) when (fault is RunInterruptedException or OperationCanceledException)
        {
            // There is no run to go on with; and a machine that is busy with other things tells nothing of a quiet one.
            return stop.IsCancellationRequested ? throw new OperationCanceledException(fault.Message, fault, stop) : null;
        }
        catch (Exception fault) when (fault is OptionException or ImplausibleLossException or NonFiniteException or CannotWriteException or BadFileException
            or ModelException or DataException or MemoryLimitException)
        {
            return null;
        }
        finally
        {
            foreach (var observer in watching.OfType<IDisposable>()) observer.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }

    // The same run with fewer steps: evaluated before, between and after them, saved twice where it is saved at all.
    private static TrainingOptions Short(TrainingOptions options, string folder, int steps) => options with
    {
        OutputDirectory = folder,
        MaxSteps = steps,
        MaxTime = null,
        EvalSteps = Math.Max(1, steps / (Evaluations - 1)),
        EvalStrategy = Pace.Steps,
        SaveSteps = options.Saves ? Math.Max(1, steps / 2) : 0,
        SaveStrategy = Pace.Steps,
        // So few steps may be too few for a schedule, and no rate takes longer than another.
        LrScheduler = "constant",
        LrSchedulerArgs = new Dictionary<string, string>(),
        WarmupSteps = 0,
        WarmupRatio = null,
        EarlyStoppingPatience = null,
        LoadBestModelAtEnd = false,
        OnFinish = null,
    };

    // Beside the run folder that is to be: the same disk.
    private static string? Folder(string output)
    {
        var parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(output)));
        while (parent is not null && !Directory.Exists(parent)) parent = Path.GetDirectoryName(parent);
        if (parent is null) return null;
        try
        {
            // Of one that was killed; a living one is done in seconds.
            foreach (var left in Directory.GetDirectories(parent, Prefix + "*").Where(path => DateTime.UtcNow - Directory.GetCreationTimeUtc(path) > Old))
                Directory.Delete(left, recursive: true);
            return Directory.CreateDirectory(Path.Combine(parent, $"{Prefix}{Guid.NewGuid():N}")).FullName;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
