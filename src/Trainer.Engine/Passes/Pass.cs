using TorchSharp;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Engine.Passes;

/// <summary>The order of a pass, written once for every engine: embed, layers, head and loss, layers back.</summary>
internal static class Pass
{
    /// <summary>Begins a pass over a batch.</summary>
    public delegate IPassStages Begin(TokenBatch batch, PassMode mode, StepKey? key);

    /// <summary>Loss of a batch, its gradients added to the parameter buffer.</summary>
    public static LossResult ForwardBackward(LoadedDecoder model, TokenBatch batch, double lossScale, StepKey? key, Begin begin)
    {
        CheckIds(model, batch);
        if (batch.TrainedTokens == 0) return new LossResult(0, 0);
        using var scope = NewDisposeScope();
        var recomputes = model.Options.GradientCheckpointing;
        using var stages = begin(batch, recomputes ? PassMode.Recomputed : PassMode.Kept, key);
        var (last, lowest) = (model.Layers.Count - 1, model.ActiveAdapter.LowestLayer);
        stages.Embed();
        for (var l = 0; l <= last; l++)
        {
            stages.Visit(l, l < last ? l + 1 : last - 1);
            stages.Forward(l, isKept: !recomputes && l >= lowest);
        }
        stages.Loss(lossScale, needsGradient: lowest <= last);
        for (var l = last; l >= Math.Max(0, lowest); l--)
        {
            if (l < last) stages.Visit(l, l > lowest ? l - 1 : -1);
            if (recomputes) stages.Recompute(l);
            stages.Backward(l, needsInput: l > lowest);
        }
        if (lowest < 0) stages.EmbeddingGradient();
        return new LossResult(stages.LossSum(), batch.TrainedTokens) { Balance = stages.Balance };
    }

    /// <summary>
    /// The same for several batches in turns, each layer visited once for all of them. Every tensor gets its gradients in the order of the batches, as from one
    /// pass after another: the same bits.
    /// </summary>
    /// <param name="model">The model; its layers are recomputed in the backward pass.</param>
    /// <param name="passes">A pass over each batch, whose own buffers lie apart.</param>
    /// <param name="batches">Batches that carry loss.</param>
    /// <param name="lossScale">Multiplier of the gradients.</param>
    public static LossResult[] ForwardBackward(LoadedDecoder model, IReadOnlyList<IPassStages> passes, IReadOnlyList<TokenBatch> batches, double lossScale)
    {
        using var scope = NewDisposeScope();
        var (last, lowest) = (model.Layers.Count - 1, model.ActiveAdapter.LowestLayer);
        foreach (var stages in passes) stages.Embed();
        for (var l = 0; l <= last; l++)
        {
            passes[0].Visit(l, l < last ? l + 1 : last - 1);
            foreach (var stages in passes)
            {
                stages.Forward(l, isKept: false);
                if (l < last) continue;
                stages.Loss(lossScale, needsGradient: lowest <= last);
                // What the last layer keeps is there until the next batch comes to it.
                if (lowest <= last) stages.Backward(last, needsInput: last > lowest);
            }
        }
        for (var l = last - 1; l >= Math.Max(0, lowest); l--)
        {
            passes[0].Visit(l, l > lowest ? l - 1 : -1);
            foreach (var stages in passes)
            {
                stages.Recompute(l);
                stages.Backward(l, needsInput: l > lowest);
            }
        }
        if (lowest < 0)
            foreach (var stages in passes) stages.EmbeddingGradient();
        return [.. passes.Zip(batches, (stages, batch) => new LossResult(stages.LossSum(), batch.TrainedTokens) { Balance = stages.Balance })];
    }

    /// <summary>Unweighted loss of each token, 0 where the target is ignored.</summary>
    public static float[] TokenLosses(LoadedDecoder model, TokenBatch batch, Begin begin)
    {
        CheckIds(model, batch);
        var losses = new float[batch.Length];
        if (batch.TrainedTokens == 0) return losses;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var stages = begin(batch, PassMode.Losses, null);
        Forward(model, stages);
        stages.Loss(null, needsGradient: false);
        stages.CopyLosses(losses);
        return losses;
    }

    /// <summary>Logits [T, vocabulary].</summary>
    public static Tensor Logits(LoadedDecoder model, TokenBatch batch, Begin begin)
    {
        CheckIds(model, batch);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var stages = begin(batch, PassMode.Logits, null);
        Forward(model, stages);
        return stages.Logits().MoveToOuterDisposeScope();
    }

    /// <summary>All layers, without a way back.</summary>
    public static void Forward(LoadedDecoder model, IPassStages stages)
    {
        stages.Embed();
        for (var l = 0; l < model.Layers.Count; l++)
        {
            stages.Visit(l, l + 1 < model.Layers.Count ? l + 1 : -1);
            stages.Forward(l, isKept: false);
        }
    }

    /// <summary>Refuses ids outside the vocabulary.</summary>
    /// <exception cref="ModelException">Names the first.</exception>
    public static void CheckIds(LoadedDecoder model, TokenBatch batch)
    {
        var size = model.Config.VocabularySize;
        foreach (var id in batch.TokenIds)
            if ((uint)id >= (uint)size)
                throw new ModelException($"token id {id} is outside the model's vocabulary of {size}; data and model use different tokenizers");
        foreach (var id in batch.Targets)
            if (id != TokenBatch.IgnoredTarget && (uint)id >= (uint)size)
                throw new ModelException($"target id {id} is outside the model's vocabulary of {size}; data and model use different tokenizers");
    }
}
