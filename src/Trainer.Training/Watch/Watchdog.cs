using System.Globalization;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Numerics.Machine;
using Trainer.Numerics.Spans;
using Trainer.Training.Optimizers;
using Trainer.Training.Records;
using Trainer.Training.Schedules;
using Trainer.Training.State;
using Trainer.Training.Steps;

namespace Trainer.Training.Watch;

/// <summary>Looks at each step for what must not go on: non-finite numbers, a base that knows nothing, an adapter that does not move, memory.</summary>
internal sealed class Watchdog(TrainingOptions options, IAdaptedModel model, IOptimizer optimizer, LearningRate rate, Events events, IReplayBundles bundles,
    ICollective ranks)
{
    // Below it an update is lost in the rounding of float32, and nothing can be said.
    private const double LeastRate = 1e-30;

    private readonly MemoryWatch _memory = new(options.MaxMemoryBytes ?? MachineLimits.MemoryBytes / ranks.LocalSize, options.MaxMemoryBytes is not null,
        ranks.LocalSize);

    // What this rank found and the others do not know yet.
    private (int Batch, string Text)? _found;

    /// <summary>Looks at the loss of one micro-batch: one that is not finite ends the run, of several ranks in <see cref="CheckTotal"/>, when all know of
    /// it.</summary>
    /// <param name="lossSum">The loss.</param>
    /// <param name="state">The run.</param>
    /// <param name="index">The micro-batch among those of the pass.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="bundle">What repeats it: micro-batches by the index of the faulty one.</param>
    public void CheckLoss(double lossSum, RunState state, int index, MicroBatch batch, Func<int, IReadOnlyList<MicroBatch>> bundle)
    {
        if (double.IsFinite(lossSum) || _found is not null) return;
        var place = FirstNonFinite(model.Parameters.HostValues(), "weight")
            ?? model.FindNonFinite(batch) ?? NonFinitePlace.FromTop(model.Parameters.HostGradients(), model.Parameters.Tensors, "gradient");
        var text = Finding("loss", lossSum, state, batch.Rows, place);
        if (ranks.Size == 1) Stop(text, state, bundle(index));
        _found = (index, text);
    }

    /// <summary>Stops all ranks where the loss of one of them was not finite: rank 0 writes the bundle, as it holds the same values.</summary>
    /// <param name="loss">The loss of all ranks.</param>
    /// <param name="state">The run.</param>
    /// <param name="bundle">What repeats it: micro-batches by the index of the faulty one.</param>
    public void CheckTotal(double loss, RunState state, Func<int, IReadOnlyList<MicroBatch>> bundle)
    {
        if (ranks.Size == 1 || double.IsFinite(loss)) return;
        var first = ranks.Collect(_found is { } mine ? string.Create(CultureInfo.InvariantCulture, $"{mine.Batch} {mine.Text}") : "")
            .FirstOrDefault(text => text.Length > 0);
        // Finite on each rank and not together: the sum itself overflowed.
        if (first is null) Stop(Finding("loss", loss, state, [.. bundle(0).SelectMany(batch => batch.Rows)], null), state, bundle(0));
        var end = first!.IndexOf(' ', StringComparison.Ordinal);
        Stop(first[(end + 1)..], state, bundle(int.Parse(first.AsSpan(0, end), CultureInfo.InvariantCulture)));
    }

    /// <summary>Stops on a non-finite gradient norm, before the update.</summary>
    public void CheckGradients(double norm, RunState state, IReadOnlyList<MicroBatch> step)
    {
        if (double.IsFinite(norm)) return;
        Stop(Finding("gradient norm", norm, state, [.. step.SelectMany(batch => batch.Rows)],
            NonFinitePlace.FromTop(model.Parameters.HostGradients(), model.Parameters.Tensors, "gradient")), state, step);
    }

    /// <summary>Stops when the update itself overflowed; the checkpoint of the step before is untouched.</summary>
    public void CheckWeights(RunState state, IReadOnlyList<MicroBatch> step)
    {
        if (model.Parameters.AreValuesFinite()) return;
        if (FirstNonFinite(model.Parameters.HostValues(), "weight") is { } place)
            Stop(Finding("a trained weight", double.NaN, state, [.. step.SelectMany(batch => batch.Rows)], place), state, step, updated: true);
    }

    /// <summary>A pretrained base is better than guessing: 0.9 ln V on its first step means that something does not belong together.</summary>
    /// <param name="loss">The step's loss: the weighted sum over its tokens, divided by their number.</param>
    /// <param name="step">Its micro-batches.</param>
    /// <param name="state">The run.</param>
    public void CheckFirstLoss(double loss, IReadOnlyList<MicroBatch> step, RunState state)
    {
        // A continued adapter starts from its own loss, which says little about the base.
        if (state.Step != 0 || options.Objective != "sft" || options.Preference.LossType.Count > 0 || options.AdapterDirectory is not null
            || options.AllowHighLoss) return;
        // Guessing is told from knowing by the mean over tokens: a row's weight says what it is worth, not how well it is known.
        var weight = step.Sum(batch => batch.TrainedWeight);
        if (weight == 0) return;
        loss *= step.Sum(batch => (double)batch.TrainedTokens) / weight;
        var limit = 0.9 * Math.Log(model.VocabularySize);
        if (loss <= limit) return;
        throw new ImplausibleLossException(
            $"the first loss is {loss:0.00}, above 0.9 ln({model.VocabularySize}) = {limit:0.00} ({options.Model}): the base does hardly better than guessing, "
            + "so weights, tokenizer, chat template or data do not belong together; look at the ids with 'trainer data show', or pass --allow-high-loss");
    }

    /// <summary>After the first update that could move anything some tensor that began at 0 must have moved, or no gradient reaches the adapter.</summary>
    /// <param name="rate">The step's learning rate.</param>
    /// <param name="norm">The norm of its gradients: rows of weight 0 have none.</param>
    /// <param name="state">The run.</param>
    public void CheckAdapterMoved(double rate, double norm, RunState state)
    {
        if (rate < LeastRate || norm == 0 || options.AdamEpsilon > 1) return;
        var b = model.Parameters.Tensors.Where(tensor => ParameterGroups.StartsAtZero(tensor.Name)).ToList();
        var still = b.Where(tensor => model.Parameters.HostValues().Slice(tensor.Offset, tensor.Count).FirstExcept(0) < 0).ToList();
        if (b.Count > 0 && still.Count == b.Count)
            throw new InvalidOperationException($"after step {state.Step + 1} every lora_B is still zero: no gradient reaches the adapter");
        if (still.Count > 0)
            events.Warn($"{still.Count} of {b.Count} lora_B tensors are still zero after step {state.Step + 1}, the first of them {still[0].Name}; rows of "
                + "two tokens cannot move q_proj and k_proj");
        state.AdapterMoved = true;
    }

    /// <summary>A sentence when the process is over its memory or grows without end, else null.</summary>
    public string? MemoryFault(long resident, int step) => _memory.Look(resident, SystemMemory.Anonymous, step);

    private string Finding(string what, double value, RunState state, RowSource[] rows, string? place)
    {
        var names = string.Join(", ", rows.Take(4).Select(row => row.ToString())) + (rows.Length > 4 ? $" and {rows.Length - 4} more" : "");
        var shown = double.IsNaN(value) ? "NaN" : value > 0 ? "infinite" : "minus infinity";
        var rank = ranks.Size > 1 && what == "loss" ? $" on rank {ranks.Rank} of {ranks.Size}" : "";
        return $"{what} became {shown} at step {state.Step + 1}{rank} (learning "
            + $"rate {rate.At(state.Step):0.###e+0}, rows {names}): {place ?? "no single tensor holds it; it arose inside the loss"}";
    }

    private void Stop(string found, RunState state, IReadOnlyList<MicroBatch> step, bool updated = false)
    {
        var directory = updated ? null : bundles.Write(state, step, model, optimizer);
        // Not before rank 0 has written: the first rank that leaves ends all.
        ranks.Barrier();
        var good = bundles.LastGoodCheckpoint is { } checkpoint ? $"last good checkpoint: {checkpoint}" : "no checkpoint was written yet";
        var replay = directory is null ? "" : $"; look at it with 'trainer replay {directory}'";
        throw new NonFiniteException($"{found}; {(updated ? "the update overflowed and was not kept" : "the update was not applied")}, {good}{replay}",
            directory);
    }

    private string? FirstNonFinite(ReadOnlyLongSpan<float> buffer, string kind) => NonFinitePlace.In(buffer, model.Parameters.Tensors, kind);
}
