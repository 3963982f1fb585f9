using System.Text.Json;
using Trainer.Training.Rollouts;
using Trainer.Training.Schedules;

namespace Trainer.Training.State;

/// <summary>Everything of a run, beside the tensors, that the next step depends on. All of it is in a checkpoint.</summary>
internal sealed record RunState
{
    /// <summary>Optimizer steps made; with the seed it also is the position in the data and the dropout counter.</summary>
    public int Step { get; set; }

    public long Tokens { get; set; }

    public long TrainedTokens { get; set; }

    /// <summary>Sum over steps of the mean loss: the run's train loss times its steps.</summary>
    public double LossSum { get; set; }

    /// <summary>Wall clock of the earlier parts of the run.</summary>
    public double ElapsedSeconds { get; set; }

    /// <summary>Held-out loss of the best evaluation.</summary>
    public double? BestEvalLoss { get; set; }

    /// <summary>What the best evaluation was chosen by; null where that is the loss.</summary>
    public double? BestMetric { get; set; }

    public int? BestStep { get; set; }

    public int EvalsWithoutImprovement { get; set; }

    /// <summary>Step of the newest evaluation, so that a resumed run neither repeats nor skips one; -1 before any.</summary>
    public int LastEvalStep { get; set; } = -1;

    public bool StoppedEarly { get; set; }

    /// <summary>Whether a step with a positive rate has shown that gradients reach the adapter.</summary>
    public bool AdapterMoved { get; set; }

    /// <summary>What evaluations did to the learning rate.</summary>
    public Plateau Plateau { get; init; } = new();

    /// <summary>Answers that the model made up and that serve more steps; null where a step has its own.</summary>
    public KeptRollout? Rollout { get; set; }

    /// <summary>Optimizer steps the schedule was made for.</summary>
    public int ScheduledSteps { get; set; }

    /// <summary>Length of metrics.jsonl: a resumed run cuts what came after.</summary>
    public long MetricsBytes { get; set; }

    /// <summary>Sum and count of the losses since the last row of the log history.</summary>
    public double IntervalLossSum { get; set; }

    public int IntervalSteps { get; set; }

    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, RunJson.Options);

    /// <exception cref="JsonException">It is not a state, or one that no run can be in.</exception>
    public static RunState FromJson(JsonElement json)
    {
        var state = json.Deserialize<RunState>(RunJson.Options) ?? throw new JsonException("the state is null");
        long[] counts = [state.Step, state.Tokens, state.TrainedTokens, state.EvalsWithoutImprovement, state.ScheduledSteps, state.MetricsBytes,
            state.IntervalSteps, state.BestStep ?? 0, state.LastEvalStep + 1L];
        if (counts.Any(count => count < 0)) throw new JsonException("a count in it is negative");
        if (!double.IsFinite(state.LossSum) || !double.IsFinite(state.IntervalLossSum) || !double.IsFinite(state.BestEvalLoss ?? 0)
            || !double.IsFinite(state.BestMetric ?? 0)) throw new JsonException("a loss in it is not finite");
        // A century: beyond it the clock is not one.
        if (!(state.ElapsedSeconds is >= 0 and < 3.2e9)) throw new JsonException("elapsed_seconds is no time that a run can have taken");
        return state;
    }
}
