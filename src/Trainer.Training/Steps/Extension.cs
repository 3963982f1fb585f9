using System.Globalization;
using Trainer.Training.Records;
using Trainer.Training.Schedules;
using Trainer.Training.State;

namespace Trainer.Training.Steps;

/// <summary>What happens to the schedule when a resumed run has another number of steps.</summary>
internal static class Extension
{
    /// <exception cref="OptionException">The checkpoint is beyond the new end.</exception>
    public static void Explain(TrainingOptions options, RunState state, LearningRate rate, Events events)
    {
        if (state.Step > rate.TotalSteps)
            throw new OptionException($"--resume: the checkpoint is at step {state.Step}, beyond the {rate.TotalSteps} steps asked for; raise --max-steps or "
                + "name an earlier checkpoint");
        if (rate.WarmupSteps >= rate.TotalSteps && rate.TotalSteps > 1)
            events.Warn($"the warm-up of {rate.WarmupSteps} steps is as long as the whole run of {rate.TotalSteps}: the peak learning rate is never reached; "
                + "lower --warmup-steps");
        if (state.Step == 0 || state.ScheduledSteps == rate.TotalSteps) return;
        var before = new LearningRate(options, state.ScheduledSteps, state.Plateau);
        events.Warn(
            $"the run now has {rate.TotalSteps} steps instead of {state.ScheduledSteps}: the {options.LrScheduler} schedule is stretched over all of them, "
            + $"so the learning rate of step {state.Step + 1} is {Text(rate.At(state.Step))} (it would have been {Text(before.At(state.Step))}); "
            + "the steps already made keep the rates they had");
    }

    private static string Text(double rate) => rate.ToString("0.###e+0", CultureInfo.InvariantCulture);
}
