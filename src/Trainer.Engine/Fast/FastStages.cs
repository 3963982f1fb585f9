using TorchSharp;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Fast.PerLayer;
using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Passes;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast;

/// <summary>The stages of a pass by hand, over the buffers of the pass.</summary>
internal sealed class FastStages(
    LoadedDecoder model, FastShape shape, IKernels kernels, FastParameters parameters, FastLayer layers, FastPerLayerInputs? ends, FastHead head,
    StreamedBase? stream, FastPass pass, StepMeter meter) : IPassStages
{
    private FastBuffers Buffers => pass.Buffers;

    private FastBatch Batch => pass.Batch;

    public void Embed()
    {
        var trained = model.AdaptersEnabled && model.Embedding.Trained is { } entry ? parameters.Values(entry) : default;
        var (batch, target) = (Batch.Batch, pass.Input(0));
        kernels.Embed(model.Embedding.Weight, trained, batch.TokenIds, shape.Hidden, target);
        if (batch.EmbeddingNoise > 0 && pass.Key is { } key) kernels.AddNoise(batch, key, shape.Hidden, target);
        if (shape.EmbeddingMultiplier != 1f) kernels.Scale(target, batch.Length * (long)shape.Hidden, shape.EmbeddingMultiplier);
        ends?.Forward(pass);
        stream?.AfterEmbedding();
    }

    public double Balance => pass.Balance?.Value ?? 0;

    public void Visit(int layer, int next) => stream?.Visit(layer, next, kernels.Record());

    public void Forward(int layer, bool isKept)
    {
        using var time = meter.MeasureLayer(PlaceOf(layer));
        layers.Forward(pass, model.Layers[layer], pass.Input(layer), TakesRows(layer) ? Buffers.RowOutput : pass.Input(layer + 1), TakesRows(layer));
    }

    public void Recompute(int layer)
    {
        // The last layer's backward pass follows its forward pass at once, so its state is still there.
        if (layer == shape.Layers - 1) return;
        using var time = meter.MeasureLayer(StepPlace.Recomputed);
        layers.Forward(pass, model.Layers[layer], pass.Input(layer), default, false);
    }

    public void Loss(double? scale, bool needsGradient)
    {
        var subset = pass.Layout.IsSubset;
        if (!subset) kernels.Gather(pass.Input(shape.Layers), Batch.LossRows, Batch.LossCount, shape.Hidden, Buffers.RowOutput);
        if (scale is { } by && pass.Balance is { } balance && needsGradient)
            kernels.Upload<float>(balance.Gradient(by), pass.Memory.Floats(BufferId.ScoreBalance));
        head.Run(pass, Buffers.RowOutput, scale, needsGradient);
        if (scale is not null && needsGradient && !subset)
            kernels.Scatter(Buffers.RowGradient, Batch.LossRows, Batch.LossCount, shape.Hidden, Buffers.Gradient, Batch.Tokens);
    }

    public double LossSum()
    {
        Batch.FetchLosses();
        double sum = 0;
        for (long i = 0; i < Batch.LossCount; i++) sum += Batch.Factors[i] * Batch.Losses[i];
        return sum + Balance;
    }

    public void Backward(int layer, bool needsInput)
    {
        using var time = meter.MeasureLayer(PlaceOf(layer));
        layers.Backward(pass, model.Layers[layer], pass.Input(layer), TakesRows(layer) ? Buffers.RowGradient : Buffers.Gradient, TakesRows(layer), needsInput);
    }

    public void EmbeddingGradient()
    {
        var trained = model.Embedding.Trained;
        ends?.Backward(pass, needsInput: trained is not null);
        if (trained is null) return;
        kernels.EmbedGradient(Buffers.Gradient, Batch.Batch.TokenIds, shape.EmbeddingMultiplier, shape.Hidden, parameters.Gradients(trained));
    }

    public void CopyLosses(Span<float> losses)
    {
        Batch.FetchLosses();
        Batch.CopyLosses(losses);
    }

    public Tensor Logits()
    {
        var logits = empty(Batch.Tokens, shape.Vocabulary, dtype: ScalarType.Float32, device: new Device(model.Options.Device));
        head.Logits(pass, pass.Input(shape.Layers), Batch.Tokens, kernels.Of(logits));
        kernels.Synchronize();
        return logits;
    }

    /// <summary>Logits (segments, vocabulary) after the last token of each segment.</summary>
    public void LastLogits(Span<float> logits)
    {
        var (starts, hidden) = (Batch.Starts, pass.Input(shape.Layers));
        long count = starts.Length - 1;
        // The rows move to the front; a segment's last token never stands before its number.
        for (var s = 0; s < count; s++)
            if (starts[s + 1] - 1 != s)
                kernels.Copy(hidden + (starts[s + 1] - 1L) * shape.Hidden, shape.Hidden, hidden + (long)s * shape.Hidden, shape.Hidden, shape.Hidden, 1);
        using var room = kernels.Allocate(count * shape.Vocabulary * sizeof(float));
        head.Logits(pass, hidden, count, new Place(room, 0));
        kernels.Download(new Place(room, 0), logits[..checked((int)(count * shape.Vocabulary))]);
    }

    // The memory of a pass is the engine's, and used again; gradients are there once everything is done.
    public void Dispose() => kernels.Synchronize();

    private static StepPlace PlaceOf(int layer) => layer == 0 ? StepPlace.FirstLayer : StepPlace.Layer;

    // The last layer is computed for the rows that carry loss alone.
    private bool TakesRows(int layer) => pass.Layout.IsSubset && layer == shape.Layers - 1;
}
