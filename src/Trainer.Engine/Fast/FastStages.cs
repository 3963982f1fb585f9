using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast;

/// <summary>The stages of a pass on the processor, by hand, over the buffers of the pass.</summary>
internal sealed unsafe class FastStages(CausalModel model, FastShape shape, FastLayer layers, FastHead head, StreamedBase? stream, StepMeter meter, FastPass pass) : IPassStages
{
    private FastBuffers Buffers => pass.Buffers;

    private FastBatch Batch => pass.Batch;

    public void Embed()
    {
        var start = StepMeter.Now;
        long hidden = shape.Hidden;
        var target = pass.Input(0);
        var (weight, ids) = (model.Embedding.Weight, Batch.Batch.TokenIds);
        var trained = model.AdaptersEnabled && model.Embedding.Trained is { } entry ? model.Parameters.ValuePointer + entry.Offset : null;
        for (var t = 0; t < ids.Length; t++)
        {
            if (trained == null) weight.Materialize(ids[t], 1, target + t * hidden);
            else NativeMemory.Copy(trained + ids[t] * hidden, target + t * hidden, (nuint)hidden * sizeof(float));
        }
        if (Batch.Batch.EmbeddingNoise > 0 && pass.Key is { } key)
            EmbeddingNoise.Add(new Span<float>(target, checked((int)(ids.Length * hidden))), Batch.Batch, key, shape.Hidden);
        if (shape.EmbeddingMultiplier != 1f)
            for (long i = 0; i < ids.Length * hidden; i++) target[i] *= shape.EmbeddingMultiplier;
        stream?.AfterEmbedding();
        meter.Add(StepPart.Elementwise, start);
    }

    public void Visit(int layer, int next) => stream?.Visit(layer, next);

    public void Forward(int layer, bool isKept) =>
        layers.Forward(pass, model.Layers[layer], pass.Input(layer), TakesRows(layer) ? Buffers.RowOutput : pass.Input(layer + 1), TakesRows(layer));

    public void Recompute(int layer)
    {
        // The last layer's backward pass follows its forward pass at once, so its state is still there.
        if (layer < shape.Layers - 1) layers.Forward(pass, model.Layers[layer], pass.Input(layer), null, false);
    }

    public double Loss(double? scale, bool needsGradient)
    {
        var subset = pass.Layout.IsSubset;
        if (!subset) Rows.Gather(pass.Input(shape.Layers), Batch.LossRows, Batch.LossCount, shape.Hidden, Buffers.RowOutput);
        var sum = head.Run(pass, Buffers.RowOutput, scale, needsGradient);
        if (scale is not null && needsGradient && !subset) Rows.Scatter(Buffers.RowGradient, Batch.LossRows, Batch.LossCount, shape.Hidden, Buffers.Gradient, Batch.Tokens);
        return sum;
    }

    public void Backward(int layer, bool needsInput) =>
        layers.Backward(pass, model.Layers[layer], pass.Input(layer), TakesRows(layer) ? Buffers.RowGradient : Buffers.Gradient, TakesRows(layer), needsInput);

    // A token may occur many times: columns are split among threads, so each sum has one owner and one order.
    public void EmbeddingGradient()
    {
        var start = StepMeter.Now;
        long hidden = shape.Hidden;
        var ids = Batch.Batch.TokenIds;
        float* target = model.Parameters.GradientPointer + model.Embedding.Trained!.Offset, gradient = Buffers.Gradient;
        TorchThreads.For(0, hidden, 64, (begin, end) =>
        {
            for (var t = 0; t < ids.Length; t++)
            {
                var row = target + ids[t] * hidden;
                Arithmetic.AddScaled(row, gradient + t * hidden, shape.EmbeddingMultiplier, row, begin, end);
            }
        });
        meter.Add(StepPart.Elementwise, start);
    }

    public void CopyLosses(Span<float> losses)
    {
        for (var i = 0; i < Batch.LossCount; i++) losses[Batch.LossRows[i]] = (float)Batch.Losses[i];
    }

    public Tensor Logits()
    {
        var logits = empty(Batch.Tokens, shape.Vocabulary, dtype: ScalarType.Float32);
        head.Logits(pass, pass.Input(shape.Layers), Batch.Tokens, TorchMemory.Pointer(logits));
        return logits;
    }

    /// <summary>Logits (vocabulary) after the last token.</summary>
    public void LastLogits(float* logits) => head.Logits(pass, pass.Input(shape.Layers) + (Batch.Tokens - 1L) * shape.Hidden, 1, logits);

    // The memory of a pass is the engine's, and used again.
    public void Dispose()
    {
    }

    // The last layer is computed for the rows that carry loss alone.
    private bool TakesRows(int layer) => pass.Layout.IsSubset && layer == shape.Layers - 1;
}
