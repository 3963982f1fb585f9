using Trainer.Data;
using Trainer.Distributed;
using Trainer.Engine.Native;
using Trainer.Numerics.Machine;
using Trainer.Training.Answers;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;
using Trainer.Training.Records;
using Trainer.Training.Schedules;
using Trainer.Training.State;
using Trainer.Training.Watch;

namespace Trainer.Training.Steps;

/// <summary>The steps of a run, from the state it is given to the last one: evaluate, save, stop if asked, step.</summary>
internal sealed class TrainingLoop
{
    // A hash of all values each time: some milliseconds for a large adapter.
    private const int StepsBetweenComparisons = 20;

    private readonly TrainingOptions _options;
    private readonly IAdaptedModel _model;
    private readonly ITrainingData _data;
    private readonly IObjective _objective;
    private readonly TrainingStep _step;
    private readonly ICollective _ranks;
    private readonly ICheckpoints _checkpoints;
    private readonly StopWatcher _stop;
    private readonly Watchdog _watchdog;
    private readonly PreferenceWatch _preferences;
    private readonly RewardWatch _rewards;
    private readonly Events _events;
    private readonly TimeProvider _time;
    private readonly Func<IReadOnlyList<string>, IReadOnlyList<string>>? _sample;
    private readonly AnswerEvaluation? _answers;
    private readonly long _begin;
    private readonly double _earlierSeconds;
    private readonly int _totalSteps;
    private readonly long _evalEvery, _saveEvery;
    private bool _allStop;
    private string? _memoryFault;
    private string _phase = "";
    private bool _isSaved;

    public TrainingLoop(LoopParts parts)
    {
        (_options, _model, _data, _objective, _sample) = (parts.Options, parts.Model, parts.Data, parts.Objective, parts.Sample);
        (_ranks, _answers) = (parts.Ranks, parts.Answers);
        _step = new TrainingStep(parts.Options, parts.Model, parts.Objective, parts.Ranks);
        (_checkpoints, _stop, _watchdog, _events, _time) = (parts.Checkpoints, parts.Stop, parts.Watchdog, parts.Events, parts.Time);
        (_preferences, _rewards) = (new PreferenceWatch(parts.Options, parts.Events), new RewardWatch(parts.Events));
        State = parts.State;
        Optimizer = parts.Optimizer;
        Rate = parts.Rate;
        _totalSteps = parts.Rate.TotalSteps;
        (_evalEvery, _saveEvery) = (TrainingOptions.Every(parts.Options.EvalSteps ?? 0, _totalSteps), TrainingOptions.Every(parts.Options.SaveSteps,
            _totalSteps));
        _begin = _time.GetTimestamp();
        _earlierSeconds = State.ElapsedSeconds;
        _isSaved = State.Step > 0;
    }

    public RunState State { get; }

    public IOptimizer Optimizer { get; }

    public LearningRate Rate { get; }

    /// <summary>Wall clock of the run, earlier parts included.</summary>
    public double ElapsedSeconds => _earlierSeconds + _time.GetElapsedTime(_begin).TotalSeconds;

    /// <summary>Runs to the end and says in words why it ended.</summary>
    /// <exception cref="RunInterruptedException">The run was asked to stop; a checkpoint was written.</exception>
    /// <exception cref="MemoryLimitException">Out of memory, the machine's or the device's; it can be resumed.</exception>
    /// <exception cref="DeviceException">The device failed; the run can be resumed.</exception>
    public string Run()
    {
        try
        {
            return Steps();
        }
        // What a device had half done is not written: values may be those of no step.
        catch (Exception fault) when (DeviceFault.Is(fault))
        {
            throw DeviceFault.Of(fault, _phase, _isSaved);
        }
    }

    private string Steps()
    {
        while (true)
        {
            EvaluateIfDue();
            SaveIfDue();
            StopIfAsked();
            if (State.StoppedEarly) return $"early stopping: no better evaluation in {_options.EarlyStoppingPatience}";
            if (State.Step >= _totalSteps) return "all steps made";
            Step();
        }
    }

    /// <summary>One optimizer step: gradients, checks, update, record.</summary>
    private void Step()
    {
        _phase = $"in step {State.Step + 1} of {_totalSteps}";
        var began = _time.GetTimestamp();
        var batches = _data.Step(State.Step, () => { if (_ranks.Size == 1) StopIfAsked(); });
        long tokens = batches.Sum(batch => (long)batch.TokenIds.Length), trainedTokens = batches.Sum(batch => (long)batch.TrainedTokens);
        var asked = _ranks.Size > 1 && _stop.Asked() is not null;
        (var loss, var norm, var metrics, _allStop, var isShortOfMemory) = _step.Gradients(State.Step, batches, asked, _memoryFault is not null, (micro, sum) =>
        {
            _watchdog.CheckLoss(sum, State, micro, batches[micro], _ => batches);
            // A stop throws the unfinished step away: its masks and rows are functions of the step, so the resumed run repeats it exactly.
            if (_ranks.Size == 1 && micro + 1 < batches.Count) StopIfAsked();
        });
        _watchdog.CheckTotal(loss, State, _ => batches);
        _watchdog.CheckGradients(norm, State, batches);
        _watchdog.CheckFirstLoss(loss, batches, State);
        var rate = Rate.At(State.Step);
        _step.Update(Optimizer, State.Step, rate, norm);
        _watchdog.CheckWeights(State, batches);
        if (!State.AdapterMoved) _watchdog.CheckAdapterMoved(rate, norm, State);

        if (_ranks.Size > 1 && State.Step % StepsBetweenComparisons == 0) RankAgreement.RequireSameValues(_ranks, _model.Parameters, State.Step + 1);

        State.Step++;
        State.Tokens += tokens;
        State.TrainedTokens += trainedTokens;
        State.LossSum += loss;
        var seconds = _time.GetElapsedTime(began).TotalSeconds;
        var memory = SystemMemory.Resident;
        var logged = State.Step % _options.LoggingSteps == 0 || State.Step == 1 || State.Step == _totalSteps;
        _events.Emit(new StepDone(
            State.Step, _data.EpochAt(State.Step), loss, rate, norm, tokens, trainedTokens, tokens / Math.Max(seconds, 1e-9), memory, ElapsedSeconds,
            logged) { Metrics = metrics });
        _preferences.Stepped(State.Step, metrics);
        _rewards.Stepped(State.Step, metrics);
        _memoryFault ??= _watchdog.MemoryFault(memory, State.Step);
        // Several ranks end where all know of it: after the next step, which carried the fault of one.
        if (_ranks.Size > 1 ? isShortOfMemory : _memoryFault is not null) EndForMemory();
    }

    private void EndForMemory()
    {
        var (fault, saved) = (RankAgreement.MemoryFault(_ranks, _memoryFault), SaveNow());
        // Not before the checkpoint is written: the first rank that leaves ends all.
        _ranks.Barrier();
        throw new MemoryLimitException($"{fault}; {_checkpoints.Describe(saved)}");
    }

    private bool IsEpochEnd => State.Step > 0 && _data.EpochAt(State.Step) % 1 == 0;

    private void EvaluateIfDue()
    {
        if (_data.EvalBatches.Count == 0 || State.LastEvalStep == State.Step) return;
        var due = State.Step == 0 || State.Step == _totalSteps
            || (_options.EvalStrategy == Pace.Epoch ? IsEpochEnd : _evalEvery > 0 && State.Step % _evalEvery == 0);
        if (!due) return;
        _phase = State.Step == 0 ? "in the evaluation before the first step" : $"in the evaluation after step {State.Step} of {_totalSteps}";
        var began = _time.GetTimestamp();
        var metrics = new MetricSums(_objective.Metrics);
        using var averaged = AveragedValues.In(_model.Parameters, Optimizer);
        double sum = 0;
        long tokens = 0, trained = 0;
        for (var index = _ranks.Rank; index < _data.EvalBatches.Count; index += _ranks.Size)
        {
            var batch = _data.EvalBatches[index];
            if (_ranks.Size == 1) StopIfAsked();
            var part = _objective.Evaluate(_model, batch, metrics);
            _watchdog.CheckLoss(part, State, index, batch, Held);
            sum += part;
            tokens += batch.TokenIds.Length;
            trained += batch.TrainedTokens;
        }
        var answers = _answers?.Sums(_ranks.Rank, _ranks.Size, () => { if (_ranks.Size == 1) StopIfAsked(); }) ?? [];
        double[] totals = [sum, tokens, trained, .. metrics.Numbers, .. answers];
        _ranks.Sum([], totals);
        totals.AsSpan(3, metrics.Numbers.Length).CopyTo(metrics.Numbers);
        (sum, tokens, trained) = (totals[0], (long)totals[1], (long)totals[2]);
        _watchdog.CheckTotal(sum, State, Held);
        var loss = sum / _objective.Divisor(_data.EvalBatches);
        var name = _options.MetricForBestModel;
        var measured = new Dictionary<string, double>(metrics.Means());
        _answers?.Add(measured, totals.AsSpan(3 + metrics.Numbers.Length));
        if (name != EvalMetric.Loss && !measured.ContainsKey(name))
            throw new OptionException($"--metric-for-best-model {name} cannot be measured: no held-out row has such an answer; add some, or choose another "
                + "metric");
        var value = name == EvalMetric.Loss ? loss : measured[name];
        // The base's own loss is shown for comparison and is no candidate: there is no adapter to keep at step 0.
        var best = State.Step > 0 && EvalMetric.IsBetter(name, value, State.BestMetric ?? State.BestEvalLoss);
        if (best)
            (State.BestEvalLoss, State.BestMetric, State.BestStep, State.EvalsWithoutImprovement) = (loss, name == EvalMetric.Loss
                ? null : value, State.Step, 0);
        else if (State.Step > 0) State.EvalsWithoutImprovement++;
        if (State.Step > 0) Rate.Evaluated(value);
        State.LastEvalStep = State.Step;
        ResidentMemory.Trim();
        _events.Emit(new EvalDone(State.Step, _data.EpochAt(State.Step), loss, tokens, trained, _time.GetElapsedTime(began).TotalSeconds, best)
        { Metrics = measured, Metric = name, IsOfTokens = _objective.Metrics.Count == 0 });
        _preferences.Evaluated(State.Step, measured);
        if (_sample is not null)
            foreach (var (prompt, text) in _options.SamplePrompts.Zip(_sample(_options.SamplePrompts))) _events.Emit(new Sampled(State.Step, prompt, text));
        if (_options.EarlyStoppingPatience is { } patience && State.EvalsWithoutImprovement >= patience) State.StoppedEarly = true;
    }

    private List<MicroBatch> Held(int index) => [_data.EvalBatches[index]];

    private void SaveIfDue()
    {
        var asked = _stop.SaveAsked();
        if (State.Step == 0 && !asked) return;
        var due = _options.SaveStrategy == Pace.Epoch ? IsEpochEnd : _saveEvery > 0 && State.Step % _saveEvery == 0;
        var every = due || (_options.Saves && (State.Step == _totalSteps || State.StoppedEarly));
        var best = State.BestStep == State.Step && _options.EvaluatesBetween && _options.Saves;
        if (every || best || asked) SaveNow();
        if (asked) _stop.ClearSave();
    }

    private string SaveNow()
    {
        State.ElapsedSeconds = ElapsedSeconds;
        _phase = $"in the checkpoint of step {State.Step}";
        var saved = _checkpoints.Save(State, _model, Optimizer);
        _isSaved = true;
        return saved;
    }

    private void StopIfAsked()
    {
        // Several ranks stop where all of them know of it: after a step that carried the wish of one.
        if (_ranks.Size > 1 && !_allStop) return;
        var asked = _stop.Asked() ?? (_allStop ? ("stopped with the other ranks", 130) : null);
        if (asked is not { } stop) return;
        var saved = State.Step > 0 ? SaveNow() : null;
        _stop.Clear();
        throw new RunInterruptedException(saved is null
            ? $"{stop.Reason} before the first step; nothing is kept, the same command begins again"
            : $"{stop.Reason} after step {State.Step} of {_totalSteps}; {_checkpoints.Describe(saved)}", stop.ExitCode, saved);
    }
}
