using Trainer.Checkpoints;
using Trainer.Checkpoints.Runs;
using Trainer.Data;
using Trainer.Data.Answers;
using Trainer.Data.Prompts;
using Trainer.Distributed;
using Trainer.Engine.Layers;
using Trainer.Models;
using Trainer.Training.Answers;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;
using Trainer.Training.Schedules;
using Trainer.Training.State;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Training;

/// <summary>One training run, from options to an adapter on disk. It never prints: observers hear everything.</summary>
public static class TrainingRun
{
    /// <summary>Runs, or resumes, to the end.</summary>
    /// <param name="options">Everything that decides what is computed.</param>
    /// <param name="observers">Who hears of it; metrics.jsonl and trainer_state.json are written in any case.</param>
    /// <param name="stop">Asks for an early end: the micro-step is finished, a checkpoint written, <see cref="RunInterruptedException"/> thrown.</param>
    /// <exception cref="OptionException">Options that cannot be carried out.</exception>
    /// <exception cref="DriftException">What would be resumed is not what was begun.</exception>
    /// <exception cref="PlanRefusedException">The run would not fit this machine.</exception>
    /// <exception cref="RunInterruptedException">The run was asked to stop; it can be resumed.</exception>
    /// <exception cref="NonFiniteException">NaN or infinity; nothing of it was applied.</exception>
    /// <exception cref="ImplausibleLossException">The base does hardly better than guessing.</exception>
    /// <exception cref="MemoryLimitException">Out of the memory allowed; it can be resumed.</exception>
    /// <exception cref="Engine.Native.DeviceException">The device failed; it can be resumed.</exception>
    /// <exception cref="RewardException">A reward program failed.</exception>
    public static TrainingResult Run(TrainingOptions options, IReadOnlyList<ITrainingObserver> observers, CancellationToken stop)
        => Run(options, observers, null, stop);

    /// <summary>As the other, with the exit code of the signal behind the token.</summary>
    /// <param name="options">Everything that decides what is computed.</param>
    /// <param name="observers">Who hears of it.</param>
    /// <param name="signalExitCode">Tells, once <paramref name="stop"/> is cancelled, which signal it was: 130 or 143; null is 130.</param>
    /// <param name="stop">Asks for an early end.</param>
    /// <param name="ranks">The processes that train together; null is this one alone. Rank 0 writes; others pass no observers.</param>
    public static TrainingResult Run(
        TrainingOptions options, IReadOnlyList<ITrainingObserver> observers, Func<int>? signalExitCode, CancellationToken stop, ICollective? ranks = null)
    {
        ranks ??= new SingleProcess();
        var began = TimeProvider.System.GetTimestamp();
        var events = new Events(observers);
        OptionCheck.Require(options);
        options = RankAgreement.Settle(ranks, options, events);
        using var folder = ranks.Rank == 0 ? RunFolder.Open(options, events) : RunFolder.Follow(options, events);
        using var early = new EarlyStop(options.MaxTime, signalExitCode ?? (() => 130), stop);
        try
        {
            return Run(options, folder, ranks, began, signalExitCode ?? (() => 130), events, early, stop);
        }
        catch (Exception fault) when (early.IsCauseOf(fault))
        {
            folder.Forget();
            throw early.Interruption();
        }
        catch (Exception fault) when (!folder.Began || fault is RunInterruptedException { CheckpointDirectory: null } or ImplausibleLossException
            or RewardException { IsFirst: true })
        {
            // What made no step must not make the same command, or the corrected one, look like a second run.
            folder.Forget();
            throw;
        }
    }

    private static TrainingResult Run(
        TrainingOptions options, RunFolder folder, ICollective ranks, long began, Func<int> signalExitCode, Events events, EarlyStop early,
        CancellationToken stop)
    {
        options = AsBegun(options, folder);
        var manifest = RunManifest.Begin(options, folder.Earlier);
        // Templates may print the day.
        manifest = manifest with { StartedUtc = ranks.Share(manifest.StartedUtc) };
        manifest.WriteIfFirst(folder);
        using var data = OpenData(options, manifest, events, early.Token);
        var files = Fingerprint.Of(options, data.Files, events, early.Token);
        RankAgreement.RequireSameRun(ranks, options, files, data);
        RequireNoDrift(folder, options, files, events);
        var plan = Planned(options, data, MemoryShare.Least(ranks), events);
        RankAgreement.RequireSameStreaming(ranks, plan);
        var settled = RunPlanner.Settle(options, plan);
        if (plan.Stream)
        {
            // Ranks of one machine share the folder: the first of them makes it, if it must be made.
            if (ranks.LocalRank != 0) ranks.Barrier();
            settled = settled with { ModelDirectory = Streamed(options, files, events, early) };
            if (ranks.LocalRank == 0) ranks.Barrier();
        }
        var beginning = new AdapterBeginning(folder.Checkpoint?.Manifest.LayerRanks, data.FirstPass);
        var isSaved = folder.Checkpoint is not null;
        using var model = DeviceFault.In("while the base was loaded", isSaved,
            () => Load(options, settled, plan, ranks, beginning, events, early.Token));
        early.Token.ThrowIfCancellationRequested();
        DeviceFault.In("in the longest micro-batch, tried before the first step", isSaved, () => Probe.Measure(options, plan, data, model, events));
        early.Token.ThrowIfCancellationRequested();
        manifest = manifest.With(files, data.Counts, model) with { LayerRanks = model.LayerRanks };
        if (options.Preference.PrecomputeReference && ObjectiveTable.Reference(options, model) is { } reference)
        {
            var pass = new ReferencePass(options, model, reference, ranks, events, early.Token);
            var most = data.LongestBatch().TokenIds.Length;
            data.Ask(set => pass.Of(set, most, files));
        }
        using var rewards = options.Objective == "grpo" ? RewardPrograms.Start(options.Grpo, events) : null;
        return Continue(new RunParts
        {
            Rollouts = rewards is null ? null : Rollouts(options, data, model, rewards, ranks, events, early.Token),
            Options = options,
            Folder = folder,
            Manifest = manifest,
            Model = model,
            Data = data,
            Events = events,
            Ranks = ranks,
            Sample = ranks.Rank == 0 && options.SamplePrompts.Count > 0 ? model.Sampler(options).Answer : null,
            Answers = AnswersOf(options, data, model, early.Token),
            SignalExitCode = signalExitCode,
            BeganAt = began,
        }, stop);
    }

    private static RolloutMaker Rollouts(TrainingOptions options, TrainingData data, AdaptedModel model, RewardPrograms rewards, ICollective ranks,
        Events events, CancellationToken stop)
    {
        var sampler = model.Sampler(options);
        ExampleSet[] sets = data.Dataset.Eval is { } held ? [data.Dataset.Train, held] : [data.Dataset.Train];
        return new RolloutMaker
        {
            Options = options,
            Model = model,
            Sample = model.Groups(sampler, options.Grpo).Sample,
            Rewards = rewards.All,
            Text = ids => sampler.Tokenizer.Decode(ids, skipSpecialTokens: false),
            Rows = PromptRows.Read(options.Data, sets, stop),
            Reference = ObjectiveTable.Reference(options, model),
            Ranks = ranks,
            Events = events,
        };
    }

    private static AnswerEvaluation? AnswersOf(TrainingOptions options, TrainingData data, AdaptedModel model, CancellationToken stop)
    {
        if (options.EvalMetrics.Count == 0 || data.Dataset.Eval is not { } held) return null;
        var (sampler, judge) = (model.Sampler(options), new AnswerJudge(options.EvalMetrics, options.AnswerPattern));
        var rows = AnswerReader.HeldOut(options.Data, sampler.Text, held, options.EvalAnswers, stop);
        judge.Require(rows);
        return new AnswerEvaluation(rows, judge, (asked, between) => sampler.Answer(asked, options.AnswerTokens, between));
    }

    /// <summary>
    /// Looks at all of a run that can be looked at without a step: options, run folder, data, drift, memory, disk, each tensor of base and adapter.
    /// It throws what <see cref="Run(TrainingOptions, IReadOnlyList{ITrainingObserver}, CancellationToken)"/> would, and leaves nothing behind.
    /// </summary>
    /// <param name="options">Everything that decides what is computed.</param>
    /// <param name="observers">Who hears of it.</param>
    /// <param name="stop">Ends it.</param>
    public static RunPlan Check(TrainingOptions options, IReadOnlyList<ITrainingObserver> observers, CancellationToken stop)
    {
        var events = new Events(observers);
        OptionCheck.Require(options);
        using var folder = RunFolder.Open(options, events);
        options = AsBegun(options, folder);
        using var data = OpenData(options, RunManifest.Begin(options, folder.Earlier), events, stop);
        if (folder.Checkpoint is not null) RequireNoDrift(folder, options, Fingerprint.Of(options, data.Files, events, stop), events);
        var plan = Planned(options, data, MemoryShare.Here, events);
        // The base as it lies: its files are mapped and matched, nothing of them is quantized or copied.
        using var model = AdaptedModel.Map(options, events, stop);
        return plan;
    }

    // What auto came to at the start belongs to the run, whatever a measurement would say now.
    private static TrainingOptions AsBegun(TrainingOptions options, RunFolder folder) =>
        options.Compute == ComputeKind.Auto && folder.Checkpoint?.Manifest.Compute is { } recorded ? options with { Compute = recorded } : options;

    private static TrainingData OpenData(TrainingOptions options, RunManifest manifest, Events events, CancellationToken stop)
    {
        var data = new TrainingData(options, DataLoading.Open(options, events, manifest.FirstDay, stop));
        events.Emit(new DataOpened(data.Dataset.Statistics));
        DataNotes.Tell(data.Dataset.Statistics, events);
        if (options.Objective == "kto" && data.Dataset.Statistics.Answers.Imbalance(options.Preference.DesirableWeight,
            options.Preference.UndesirableWeight) is { } lopsided) events.Warn(lopsided);
        if (SequenceLength.Warning(options) is { } tooLong) events.Warn(tooLong);
        return data;
    }

    private static RunPlan Planned(TrainingOptions options, TrainingData data, MemoryShare share, Events events)
    {
        var plan = RunPlanner.Plan(options, data.Dataset, share: share);
        RunPlanner.Require(plan);
        if (plan.Stream && options.Stream == Choice.Auto)
            events.Note($"the base is streamed from disk: resident it would not fit {Size.Of(plan.MemoryLimitBytes)}, streamed the run "
                + $"needs {Size.Of(plan.PeakBytes)}");
        events.Emit(new Planned(plan));
        return plan;
    }

    private static AdaptedModel Load(TrainingOptions options, TrainingOptions settled, RunPlan plan, ICollective ranks, AdapterBeginning beginning,
        Events events, CancellationToken stop)
    {
        var reads = plan.Stream ? RankAgreement.Readers(ranks) : null;
        try
        {
            return AdaptedModel.Load(settled, events, plan.StreamBytes, reads, beginning, stop);
        }
        catch (ModelException fault) when (settled.ModelDirectory != options.ModelDirectory)
        {
            throw new ModelException($"{fault.Message} (an earlier run made this folder: delete '{settled.ModelDirectory}' and the next one makes it again)",
                fault);
        }
    }

    private static string Streamed(TrainingOptions options, Fingerprint files, Events events, EarlyStop early)
    {
        try
        {
            return StreamedFolder.Of(options, files, events, early.Token);
        }
        catch (Exception fault) when (early.IsCauseOf(fault))
        {
            throw early.Interruption("the 4-bit folder to stream from was being made, and the same command goes on where it was");
        }
    }

    /// <summary>Everything after loading: state, steps, final adapter, proof.</summary>
    internal static TrainingResult Continue(RunParts run, CancellationToken stop)
    {
        var (options, events, directory) = (run.Options, run.Events, run.Folder.Directory);
        var checkpoint = run.Folder.Checkpoint;
        if (checkpoint is not null && checkpoint.Manifest.Threads != run.Manifest.Threads)
            events.Warn($"the run was begun with {checkpoint.Manifest.Threads} threads and goes on with {run.Manifest.Threads}: the last bits may differ; set "
                + $"--threads {checkpoint.Manifest.Threads} for the same bytes");
        var state = checkpoint?.State ?? new RunState();
        // Patience may have grown since the checkpoint was written.
        state.StoppedEarly = options.EarlyStoppingPatience is { } patience && state.EvalsWithoutImprovement >= patience;
        var totalSteps = options.MaxSteps ?? StepCount.Of(options.Epochs, run.Data.StepsOf);
        var rate = new LearningRate(options, totalSteps, state.Plateau);
        Extension.Explain(options, state, rate, events);

        using var optimizer = OptimizerTable.Make(run.Model.Parameters, options);
        // Before the checkpoint's values are in place: a frozen copy of the adapter is of those that the run began with.
        var objective = run.Rollouts is { } answers ? new GrpoObjective(options) { HeldOut = answers.HeldOut } : ObjectiveTable.Make(options, run.Model);
        checkpoint?.Restore(run.Model, optimizer);
        state = RankAgreement.Share(run.Ranks, state, run.Model.Parameters, optimizer);
        var baseBefore = run.Model.BaseChecksum();
        if (run.Ranks.Rank == 0) CheckpointStore.RequireSpace(options, run.Model, optimizer, totalSteps - state.Step, run.Folder.ReplacedBytes);
        var manifest = checkpoint is null ? run.Manifest
            : run.Manifest with { Segments = RunSegment.Of(checkpoint.Manifest, state.ScheduledSteps, run.Manifest, state.Step, totalSteps) };

        // Nothing refuses the run any more: what it replaces goes now.
        run.Folder.Begin();
        // From here on a checkpoint can be used with the tokenizer and the template that it is trained with.
        if (run.Ranks.Rank == 0) FinalAdapter.CopyTexts(options, directory);
        using var record = run.Ranks.Rank == 0 ? RunRecord.Begin(run, state, manifest, totalSteps) : null;
        var nothing = new NoRecord();
        events.Emit(new RunStarted(state.Step, totalSteps, run.Model.Parameters.Count, run.Model.TotalParameters, run.Model.Compute));
        // After the observers: the recipe that one of them leaves is in the record.
        record?.WriteBeginning();
        var loop = new TrainingLoop(new LoopParts
        {
            Options = options,
            Model = run.Model,
            Data = run.Rollouts is { } maker ? new SampledData(options, run.Data, maker, state) : run.Data,
            State = state,
            Objective = objective,
            Optimizer = optimizer,
            Rate = rate,
            Checkpoints = record is null ? nothing : record.Store,
            Stop = new StopWatcher(record is null ? null : directory, options.MaxTime, run.Time, run.BeganAt ?? run.Time.GetTimestamp(), run.SignalExitCode,
                stop),
            Watchdog = new Watchdog(options, run.Model, optimizer, rate, events, record is null ? nothing : record.Store, run.Ranks),
            Ranks = run.Ranks,
            Events = events,
            Sample = run.Sample,
            Answers = run.Answers,
            Time = run.Time,
        });
        var reason = Steps(loop, state, record);

        if (run.Model.BaseChecksum() != baseBefore)
            throw new InvalidOperationException("a frozen weight of the base changed during training; the adapter was not written, please report this");
        var trainLoss = state.Step == 0 ? double.NaN : state.LossSum / state.Step;
        if (record is null) return new TrainingResult(state.Step, trainLoss, state.BestEvalLoss, reason, directory, "");
        var taken = state.Step;
        if (state.StoppedEarly || options.LoadBestModelAtEnd) (reason, taken) = TakeBest(state, directory, run.Model, optimizer, reason, events);
        AveragedValues.Keep(run.Model.Parameters, optimizer);
        var sha256 = FinalAdapter.Write(options, state, taken, run.Model, run.Data, events);
        record.WriteOutcome(new RunOutcome(state.Step, reason, trainLoss, state.BestEvalLoss, sha256));
        events.Emit(new RunEnded(state.Step, trainLoss, state.BestEvalLoss, loop.ElapsedSeconds, reason));
        return new TrainingResult(state.Step, trainLoss, state.BestEvalLoss, reason, directory, sha256);
    }

    // A reward program that fails says where the run can be gone on with.
    private static string Steps(TrainingLoop loop, RunState state, RunRecord? record)
    {
        try
        {
            return loop.Run();
        }
        catch (RewardException fault)
        {
            var kept = state.Step == 0 ? "" : record?.Store.LastGoodCheckpoint is { } checkpoint ? $"; go on from {checkpoint} with --resume"
                : "; no checkpoint was written yet";
            throw new RewardException(fault.Message + kept, fault.IsBadAnswer) { IsFirst = state.Step == 0 };
        }
    }

    private static void RequireNoDrift(RunFolder folder, TrainingOptions options, Fingerprint files, Events events)
    {
        if (folder.Checkpoint is not { } checkpoint) return;
        var (refused, warned) = Drift.Between(checkpoint.Manifest.Settled, checkpoint.Manifest.Files, options, files);
        if (warned.Count > 0) events.Warn($"the resumed run may differ in the last bits: {string.Join("; ", warned)}");
        if (refused.Count == 0) return;
        if (!options.AllowDrift)
            throw new DriftException($"the run in '{folder.Directory}' cannot be resumed as it was: {string.Join("; ", refused)}; change that back, or pass "
                + "--allow-drift to go on with the difference");
        events.Warn($"resuming in spite of differences (--allow-drift): {string.Join("; ", refused)}");
    }

    /// <summary>After early stopping, or where it is asked for, the best evaluation's values are the result, not the last step's.</summary>
    private static (string Reason, int Step) TakeBest(RunState state, string directory, IAdaptedModel model, IOptimizer optimizer, string reason, Events events)
    {
        if (state.BestStep is not { } best || best == state.Step) return (reason, state.Step);
        try
        {
            CheckpointContent.Read(CheckpointFolder.PathOf(directory, best)).Restore(model, optimizer);
            return ($"{reason}; the adapter is that of step {best}", best);
        }
        catch (BadFileException fault)
        {
            events.Warn($"the best checkpoint cannot be taken, so the adapter is that of the last step, {state.Step}: {fault.Message}");
            return ($"{reason}; the adapter is that of step {state.Step}", state.Step);
        }
    }
}
