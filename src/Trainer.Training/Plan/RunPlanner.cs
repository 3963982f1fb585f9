using Trainer.Adapters;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Data.Batching;
using Trainer.Engine.Native;
using Trainer.Engine.Passes;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Training.Objectives;
using Trainer.Training.Optimizers;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Training.Plan;

/// <summary>Works out what a run needs before it begins: from config.json and options alone, and from the data where it was read.</summary>
public static class RunPlanner
{
    // The rest is for what no plan knows: garbage not yet collected, fragments between buffers.
    private const double WindowShare = 0.93;

    /// <summary>Plans a run.</summary>
    /// <param name="options">The run; its model folder needs no more than config.json.</param>
    /// <param name="dataset">The data, or null to plan for rows of <c>--max-seq-length</c> tokens.</param>
    /// <param name="microStepSeconds">A measured micro-step at the largest micro-batch, or null.</param>
    /// <param name="share">The machine, and how many ranks of the run are on it; null is this one for one process.</param>
    /// <exception cref="ModelException">config.json is missing, broken or of an unknown family.</exception>
    /// <exception cref="OptionException">The base cannot be streamed as the options say.</exception>
    public static RunPlan Plan(TrainingOptions options, Dataset? dataset = null, double? microStepSeconds = null, MemoryShare? share = null)
    {
        share ??= MemoryShare.Here;
        var config = ConfigLoader.Load(options.ModelDirectory);
        FolderCheck.Require(options.ModelDirectory);
        StreamedFolder.RequireAgreement(options, config);
        var plan = Compute(options, config, dataset, microStepSeconds, share);
        if (plan.Fits) return plan;
        var changes = Changes(options, config, dataset, plan).Take(3).ToList();
        return plan with { Changes = changes, Verdict = Refusal(plan, changes) };
    }

    /// <summary>Refuses what a run would refuse of model and adapter, from their headers alone; a folder without weights says nothing yet.</summary>
    /// <param name="options">The run.</param>
    /// <exception cref="ModelException">The model folder is incomplete, or of another model than its config.json says.</exception>
    /// <exception cref="AdapterOptionException">The options fit no adapter of this model.</exception>
    /// <exception cref="AdapterException">The adapter folder is broken, or of another base.</exception>
    public static void Check(TrainingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (!Directory.Exists(options.ModelDirectory) || !Directory.EnumerateFiles(options.ModelDirectory, "*.safetensors").Any()) return;
        FolderCheck.Require(options.ModelDirectory);
        RunAdapter.Of(options, ConfigLoader.Load(options.ModelDirectory));
    }

    /// <summary>The options with <c>auto</c> settled as the plan found it.</summary>
    /// <param name="options">The run.</param>
    /// <param name="plan">Its plan.</param>
    public static TrainingOptions Settle(TrainingOptions options, RunPlan plan) =>
        options with { GradientCheckpointing = plan.GradientCheckpointing ? Checkpointing.On : Checkpointing.None,
        Stream = plan.Stream ? Choice.On : Choice.Off, StreamMicroBatches = plan.StreamMicroBatches };

    /// <summary>Refuses a run that its memory cannot hold; the disk is asked by who writes to it.</summary>
    /// <exception cref="PlanRefusedException">The run cannot finish.</exception>
    internal static void Require(RunPlan plan)
    {
        if (!plan.FitsMemory) throw new PlanRefusedException(plan.Verdict);
    }

    private static RunPlan Compute(TrainingOptions options, ModelConfig config, Dataset? dataset, double? microStepSeconds, MemoryShare share)
    {
        if (options.Stream == Choice.Auto)
        {
            // Reading the base from disk twice a step is for what does not fit otherwise.
            var resident = Compute(options with { Stream = Choice.Off }, config, dataset, microStepSeconds, share);
            if (resident.FitsMemory || !CanStream(options, config)) return resident;
            return Compute(options with { Stream = Choice.On }, config, dataset, microStepSeconds, share);
        }
        var adapter = RunAdapter.Of(options, config);
        var memory = new RunMemory(adapter, options);
        var batches = dataset is null ? null : new BatchPlan(dataset.Train, BatchOptions.Of(options));
        var rollout = options.Objective == "grpo" ? RolloutPlan.Of(options, config, dataset) : null;
        var tokens = rollout?.BatchTokens ?? WorstTokens(options, dataset);
        var lossRows = rollout?.BatchAnswers ?? (dataset is null || dataset.Train.Tokens == 0
            ? tokens : Math.Min(tokens, (long)Math.Ceiling(1.5 * tokens * dataset.Train.TrainedTokens / dataset.Train.Tokens)));
        var batch = BatchShape.OfRows(tokens, lossRows, rollout?.Longest ?? dataset?.Train.Longest ?? options.Data.MaxSeqLength);
        // Held-out rows may be longer than any trained on.
        var evaluation = rollout is null && dataset?.Eval is { Count: > 0 } eval ? memory.ForwardBytes(WorstEvaluation(options, eval)) : 0;
        // Mismatched answers and their prompts are as many tokens again, and the reference is asked about both together.
        var mismatched = ObjectiveTable.MeasuresMismatched(options) && ObjectiveTable.ExtraPasses(options) > 2
            ? memory.ForwardBytes(BatchShape.OfRows(2 * tokens, Math.Min(2 * tokens, 2 * lossRows), batch.Longest)) : 0;
        var shared = memory.SharedBytes(options.Stream == Choice.On);
        var limit = options.MaxMemoryBytes ?? share.LimitBytes(shared);
        var trainable = adapter.ParameterCount;
        var optimizer = OptimizerTable.StateBytes(options, adapter.Tensors.Select(tensor => tensor.Shape));
        // The copy, and the policy that steps aside while the copy is asked.
        var reference = ObjectiveTable.ReferenceIsAdapter(options) ? trainable * 8 : 0;
        var isStreamed = options.Stream == Choice.On;
        var form = memory.Kind.ToString().ToLowerInvariant();
        var together = 1;
        var (onDevice, device, deviceLimit) = (DevicePlan.Has(options), new DevicePlan(options, memory), DevicePlan.Limit(options));
        List<MemoryPart> Step(bool again)
        {
            List<MemoryPart> step = [.. memory.StepParts(batch, again)];
            var stepBytes = step.Sum(part => part.Bytes);
            if (mismatched > stepBytes) step.Add(new("mismatched answers", mismatched - stepBytes));
            if (evaluation > Math.Max(stepBytes, mismatched)) step.Add(new("longer rows held out", evaluation - Math.Max(stepBytes, mismatched)));
            if (memory.AnswerBytes(dataset, stepBytes, rollout) is > 0 and var answers) step.Add(new("answers being written", answers));
            // The block of a pass alone, which evaluations need, has one batch's streams already; these lie beside it.
            if (together > 1) step.Add(new("streams of micro-batches that go together", together * memory.OwnBytes(batch)));
            return step;
        }
        List<MemoryPart> OnDevice(bool again, long? window = null)
            => onDevice ? [.. device.Parts(batch, [.. Step(again).Where(part => part.Name != RunMemory.Compiled)], optimizer, isStreamed, window)] : [];
        List<MemoryPart> Parts(bool again, long? window = null)
        {
            var step = Step(again);
            var stepBytes = step.Sum(part => part.Bytes);
            // What a device holds is in its own memory, and the processor that stands in for one has both.
            var computed = !onDevice ? step : options.Device == ComputeDevice.Stand ? OnDevice(again, window) : [];
            var streamed = onDevice ? memory.StreamedBytes(null, tokens) - memory.SmallestWindow + memory.PinnedBytes : memory.StreamedBytes(window, tokens);
            return
            [
                new("runtime", RunMemory.RuntimeBytes),
                isStreamed ? new($"base ({form}, streamed)", streamed) : new($"base ({form})", memory.BaseBytes),
                new("order of the rows", DataBytes(dataset)),
                .. rollout is null || dataset is null ? [] : new[] { new MemoryPart("rows for the reward programs", RolloutPlan.RowBytes(dataset)) },
                new(onDevice ? "adapter and gradients brought home" : "adapter and gradients", 2 * memory.ParameterBytes),
                new("optimizer", optimizer),
                .. reference > 0 ? [new("frozen copy of the adapter", reference)] : Array.Empty<MemoryPart>(),
                .. options.Preference.PrecomputeReference && dataset is not null
                    ? [new("what the reference says", sizeof(float) * (dataset.Train.Tokens + (dataset.Eval?.Tokens ?? 0)))] : Array.Empty<MemoryPart>(),
                .. computed,
                new("proof of the saved adapter", memory.ProofBytes(stepBytes)),
            ];
        }
        var keep = Parts(false);
        // Auto keeps a margin: recomputing costs a third of the time, running out of memory costs the run.
        var recompute = options.GradientCheckpointing == Checkpointing.On
            || (options.GradientCheckpointing == Checkpointing.Auto && (keep.Sum(part => part.Bytes) > limit * 0.8
                || OnDevice(false).Sum(part => part.Bytes) > deviceLimit * 0.8));
        var parts = recompute ? Parts(true) : keep;
        long? window = null;
        if (isStreamed && recompute && memory.Refusal is null && options is { Objective: "sft", GradientAccumulationSteps: > 1 })
        {
            // A second micro-batch halves all reads: more than any layer that stays.
            var spare = onDevice ? deviceLimit is { } most ? (long)(most * WindowShare) - OnDevice(true).Sum(part => part.Bytes) : 0
                : (long)(limit * WindowShare) - parts.Sum(part => part.Bytes);
            var room = (int)Math.Clamp(spare / Math.Max(1, memory.OwnBytes(batch)), 1, options.GradientAccumulationSteps);
            together = Math.Min(options.GradientAccumulationSteps, options.StreamMicroBatches ?? room);
            parts = Parts(recompute);
        }
        if (isStreamed && onDevice)
        {
            if (deviceLimit is { } has && (long)(has * WindowShare) - OnDevice(recompute).Sum(part => part.Bytes) is > 0 and var free)
                window = memory.SmallestRooms + free;
            parts = Parts(recompute, window);
        }
        else if (isStreamed && options.MaxMemoryBytes is { } given && (long)(given * WindowShare) - parts.Sum(part => part.Bytes) is > 0 and var spare)
        {
            window = memory.SmallestWindow + spare;
            parts = Parts(recompute, window);
        }
        var stepsOfRows = BatchOptions.StepsOfRows(options);
        long? steps = options.MaxSteps ?? (batches is null ? null : StepCount.Of(options.Epochs, epochs => batches.TotalSteps(epochs) * stepsOfRows));
        var checkpoint = CheckpointStore.BytesOf(trainable, optimizer);
        var saveEvery = options.SaveStrategy == Pace.Epoch ? batches?.Steps(0) ?? 1000 : TrainingOptions.Every(options.SaveSteps, steps ?? 1000);
        var checkpoints = saveEvery == 0 ? 1 : Math.Max(1, (steps ?? 1000) / saveEvery);
        if (options.SaveTotalLimit > 0) checkpoints = Math.Min(checkpoints, options.SaveTotalLimit + 2);
        var disk = new PlanDisk(options, config, (checkpoints + 1) * checkpoint, isStreamed ? memory.BaseBytes : null, adapter.Decoder.ParameterCount);
        var freed = options.OverwriteOutputDirectory ? EarlierRun.Bytes(options.OutputDirectory) : 0;
        var plan = new RunPlan
        {
            Rows = dataset?.Train.Count,
            Tokens = dataset?.Train.Tokens,
            TrainedTokens = dataset?.Train.TrainedTokens,
            DroppedRows = dataset?.Statistics.Dropped.Values.Sum(),
            EvalRows = dataset is null ? null : dataset.Eval?.Count ?? 0,
            LongestRow = dataset?.Train.Longest,
            IsFromCache = dataset?.Statistics.FromCache,
            PackingEfficiency = options.Packing ? batches?.PackingEfficiency(0) : null,
            StepsPerEpoch = batches?.Steps(0) * stepsOfRows,
            TotalSteps = steps,
            MicroBatchTokens = tokens,
            BaseParameters = adapter.Decoder.ParameterCount,
            TrainableParameters = trainable,
            TrainedShares = Models.Drawing.TrainedShare.Of(adapter),
            GradientCheckpointing = recompute,
            Stream = isStreamed,
            StreamBytes = window,
            StreamMicroBatches = together,
            Memory = parts,
            Buffers = memory.Layout(batch, recompute ? PassMode.Recomputed : PassMode.Kept)?.Buffers
                .GroupBy(buffer => buffer.Name).Select(group => new MemoryPart(group.Key, group.Sum(buffer => buffer.Bytes))).ToList() ?? [],
            MemoryLimitBytes = limit,
            Device = onDevice ? options.Device : null,
            DeviceMemory = OnDevice(recompute, window),
            DeviceLimitBytes = onDevice ? deviceLimit : null,
            Share = share,
            SharedBytes = shared,
            CheckpointBytes = checkpoint,
            Disk = disk.Parts,
            DiskSuffices = disk.Suffices(freed),
            DiskNote = disk.Note(freed),
            DiskFreeBytes = DiskSpace.Free(options.OutputDirectory) + freed,
            MicroStepSeconds = microStepSeconds,
            Seconds = Seconds(rollout is null ? dataset : null, batches, steps, tokens, microStepSeconds) is { } steady
                ? steady + PlanTime.Besides(options, dataset, steps, batches?.Steps(0), checkpoint, recompute, microStepSeconds / tokens)
                .Sum(part => part.Seconds) : null,
            Verdict = "",
        };
        return plan with { Verdict = $"needs {Size.Of(plan.PeakBytes)} of {Size.Of(limit)} memory"
            + (onDevice ? $", {Size.Of(plan.DevicePeakBytes)}{(deviceLimit is { } all ? $" of {Size.Of(all)}" : "")} of the device's" : "")
            + $" and {Size.Of(plan.DiskBytes)} on disk" };
    }

    /// <summary>What is held of each row while tokens lie in the cache: its length, its place in the epoch and in the order of the batches, and its choice
    /// where rows are held out.</summary>
    private static long DataBytes(Dataset? dataset) => dataset is null ? 0 : 16L * (dataset.Train.Count + (dataset.Eval?.Count ?? 0));

    private static double? Seconds(Dataset? dataset, BatchPlan? batches, long? steps, long worstTokens, double? microStepSeconds)
    {
        if (dataset is null || batches is null || steps is null || microStepSeconds is null) return null;
        var tokensPerStep = dataset.Train.Tokens / (double)batches.Steps(0);
        return steps * tokensPerStep / worstTokens * microStepSeconds;
    }

    /// <summary>The largest batch of an evaluation, which takes the rows as they stand.</summary>
    private static BatchShape WorstEvaluation(TrainingOptions options, ExampleSet eval)
    {
        var worst = eval.Lengths.Chunk(BatchOptions.EvalRows(options)).Max(batch => batch.Sum(length => (long)length))
            * (ObjectiveTable.MeasuresMismatched(options) ? 2 : 1);
        var lossRows = eval.Tokens == 0 ? worst : Math.Min(worst, (long)Math.Ceiling(1.5 * worst * eval.TrainedTokens / eval.Tokens));
        return BatchShape.OfRows(worst, lossRows, eval.Longest);
    }

    private static long WorstTokens(TrainingOptions options, Dataset? dataset)
    {
        if (options.Packing || dataset is null) return (long)options.BatchSize * BatchOptions.Of(options).MaxSeqLength;
        return dataset.Train.Lengths.OrderDescending().Take(options.BatchSize).Sum(length => (long)length);
    }

    // An 8-bit base lies nowhere on disk; a 4-bit one is made there on first use.
    private static bool CanStream(TrainingOptions options, ModelConfig config) =>
        config.StoredQuantization is { IsNf4: true } || (config.StoredQuantization is null && options.Quantize == QuantizeKind.Nf4);

    private static IEnumerable<PlanChange> Changes(TrainingOptions options, ModelConfig config, Dataset? dataset, RunPlan plan)
    {
        var candidates = new List<(string Option, TrainingOptions Options, string Cost)>();
        var half = options.Data.MaxSeqLength / 2;
        if (options.GradientCheckpointing == Checkpointing.None)
            candidates.Add(("--gradient-checkpointing on", options with { GradientCheckpointing = Checkpointing.On }, "a third more time"));
        if (options.BatchSize > 1)
        {
            var accumulation = options.BatchSize * options.GradientAccumulationSteps;
            candidates.Add(($"--batch-size 1 --gradient-accumulation-steps {accumulation}",
                options with { BatchSize = 1, GradientAccumulationSteps = accumulation }, "the same result, a little slower"));
        }
        if (options.Quantize != QuantizeKind.Nf4) candidates.Add(("--quantize nf4", options with { Quantize = QuantizeKind.Nf4 }, "a 4-bit base"));
        if (options.Quantize == QuantizeKind.Nf4 && !options.DoubleQuant)
            candidates.Add(("--double-quant true", options with { DoubleQuant = true }, "nothing to speak of"));
        if (!plan.Stream && CanStream(options, config))
            candidates.Add(("--stream on", options with { Stream = Choice.On }, "weights read from disk twice a step"));
        if (options.Lora.Rank > 8) candidates.Add(("--lora-rank 8", options with { Lora = options.Lora with { Rank = 8 } }, "a smaller adapter"));
        if (half >= 128 && (dataset is null || options.Packing))
            candidates.Add(($"--max-seq-length {half}", options with { Data = options.Data with { MaxSeqLength = half } },
                "longer rows are refused, dropped or cut"));
        if (options.SaveTotalLimit is 0 or > 1 && options.SaveSteps > 0)
            candidates.Add(("--save-total-limit 1", options with { SaveTotalLimit = 1 }, "fewer checkpoints to go back to"));
        foreach (var (option, changed, cost) in candidates)
        {
            var other = Compute(changed, config, dataset, null, plan.Share);
            if (plan.Wanting(other) < plan.Wanting(plan))
                yield return new PlanChange(option, plan.FitsMemory ? other.PeakBytes : plan.Wanting(other), other.Fits, cost);
        }
    }

    private static string Refusal(RunPlan plan, List<PlanChange> changes)
    {
        var why = plan.PeakBytes > plan.MemoryLimitBytes
            ? $"{(plan.Share.Ranks > 1 ? $"each of {plan.Share.Ranks} ranks on a machine" : "the run")} needs {Size.Of(plan.PeakBytes)} of memory, "
                + $"{Size.Of(plan.MemoryLimitBytes)} are {(plan.Share.Ranks > 1 ? "its share" : "allowed")}"
                + $"{(plan.Stream ? $" (with {Size.Of(plan.Memory[1].Bytes)} for the smallest window of the streamed base)" : "")}"
            : !plan.FitsMemory ? $"the run needs {Size.Of(plan.DevicePeakBytes)} of the device's memory, {Size.Of(plan.DeviceLimitBytes ?? 0)} are there"
                + (plan.Stream ? $" (with {Size.Of(plan.DeviceMemory.Single(DevicePlan.IsBase).Bytes)} for the smallest window of the streamed base)" : "")
            : $"the run needs {Size.Of(plan.DiskBytes)} on disk, {Size.Of(plan.DiskFreeBytes ?? 0)} are free";
        var what = changes.Count == 0
            ? "no single option brings it down; take a smaller model or a larger machine"
            : string.Join("; or ",
                changes.Select(
                change =>
                    $"{change.Option} ({change.Cost}) {(plan.FitsMemory ? "takes less" : $"brings it to {Size.Of(change.PeakBytes)}")}"
                    + $"{(change.Suffices ? "" : ", still too much alone")}"));
        return $"{why}: {what}";
    }
}
