using System.Text.Json.Nodes;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Runs;

namespace Trainer.Training.State;

/// <summary>Keeps the log history as transformers' TrainerState has it, and writes trainer_state.json into the run folder.</summary>
/// <remarks>As there, a row's loss is the mean over the steps since the last row.</remarks>
public sealed class TrainerStateWriter : ITrainingObserver
{
    private readonly TrainingOptions _options;
    private readonly List<JsonObject> _history = [];
    private int _maxSteps;
    private double _lossSum;
    private int _losses;
    private double? _best;
    private int? _bestStep;
    private double _epoch;
    private int _step;
    private long _tokens;

    /// <summary>Begins an empty history.</summary>
    /// <param name="options">The run's options.</param>
    public TrainerStateWriter(TrainingOptions options) => _options = options;

    /// <inheritdoc/>
    public void On(TrainingEvent trainingEvent)
    {
        switch (trainingEvent)
        {
            case RunStarted started:
                (_maxSteps, _step) = (started.MaxSteps, started.FirstStep);
                break;
            case StepDone step:
                (_step, _epoch, _tokens) = (step.Step, step.Epoch, _tokens + step.Tokens);
                _lossSum += step.Loss;
                _losses++;
                if (step.IsLogged) AddStep(step);
                break;
            case EvalDone eval:
                if (eval.IsBest) (_best, _bestStep) = (eval.Value, eval.Step);
                _history.Add(new JsonObject { ["epoch"] = eval.Epoch, ["eval_loss"] = eval.EvalLoss, ["eval_runtime"] = eval.Seconds, ["step"] = eval.Step });
                foreach (var (name, value) in eval.Metrics) _history[^1].Add("eval_" + name, value);
                break;
            case Saved { IsFinal: false }:
                Write();
                break;
            case RunEnded ended:
                _history.Add(new JsonObject { ["epoch"] = _epoch, ["step"] = ended.Step, ["total_flos"] = 0.0, ["train_loss"] = ended.TrainLoss,
                    ["train_runtime"] = ended.ElapsedSeconds });
                Write();
                break;
        }
    }

    /// <summary>The state now, in transformers' words.</summary>
    public TrainerState State() => new()
    {
        GlobalStep = _step,
        MaxSteps = _maxSteps,
        Epoch = _epoch,
        NumTrainEpochs = (long)Math.Ceiling(_options.Epochs),
        BestMetric = _best,
        BestGlobalStep = _bestStep,
        BestModelCheckpoint = _bestStep is { } best ? CheckpointFolder.PathOf(_options.OutputDirectory, best) : null,
        LoggingSteps = _options.LoggingSteps,
        EvalSteps = TrainingOptions.Every(_options.EvalSteps ?? 0, _maxSteps),
        SaveSteps = TrainingOptions.Every(_options.SaveSteps, _maxSteps),
        TrainBatchSize = _options.BatchSize,
        NumInputTokensSeen = _tokens,
        LogHistory = _history,
    };

    /// <summary>Notes the part of the state that transformers' layout has no place for.</summary>
    internal void Keep(RunState state) => (state.IntervalLossSum, state.IntervalSteps) = (_lossSum, _losses);

    /// <summary>Takes up where a checkpoint left off.</summary>
    internal void Restore(TrainerState earlier, RunState state)
    {
        _history.AddRange(earlier.LogHistory);
        (_lossSum, _losses) = (state.IntervalLossSum, state.IntervalSteps);
        (_best, _bestStep) = (state.BestMetric ?? state.BestEvalLoss, state.BestStep);
        (_step, _epoch, _tokens) = (state.Step, earlier.Epoch, state.Tokens);
    }

    private void Write() => AtomicFile.WriteText(Path.Combine(_options.OutputDirectory, TrainerState.FileName), State().ToJson());

    private void AddStep(StepDone step)
    {
        _history.Add(new JsonObject
        {
            ["epoch"] = step.Epoch,
            ["grad_norm"] = step.GradNorm,
            ["learning_rate"] = step.LearningRate,
            ["loss"] = _lossSum / _losses,
            ["step"] = step.Step,
        });
        foreach (var (name, value) in step.Metrics) _history[^1].Add(name, value);
        (_lossSum, _losses) = (0, 0);
    }
}
