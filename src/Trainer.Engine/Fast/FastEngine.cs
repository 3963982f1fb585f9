using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast;

/// <summary>
/// The hand-written CPU engine: no graph, every buffer of a pass cut from one arena, frozen products panel by panel, gradients straight into the flat buffer.
/// It computes what <see cref="FastCapabilities"/> admits, with the reference engine's results.
/// </summary>
internal sealed unsafe partial class FastEngine : IDecoderEngine
{
    private readonly CausalModel _model;
    private readonly FastShape _shape;
    private readonly FastLinear _linear;
    private readonly BlockAttention _attention;
    private readonly FastLayer _layer;
    private readonly FastHead _head;
    private readonly StreamedBase? _stream;
    private Arena? _arena;

    public FastEngine(CausalModel model, long panelElements = PanelPlan.Elements)
    {
        _model = model;
        _shape = new FastShape(model.Config);
        var panels = new PanelPlan(panelElements);
        _linear = new FastLinear(model, Meter, panels);
        _attention = new BlockAttention(_shape, Meter);
        var norms = new FastNorm(model, _shape);
        _layer = new FastLayer(model, _shape, _linear, norms, _attention, Meter);
        _head = new FastHead(model, _shape, _linear, norms, Meter);
        if (!model.Options.Stream) return;
        _stream = new StreamedBase(model);
        panels.HeadPages = _stream.Head;
    }

    public string Name => "fast";

    public string? Streaming => _stream?.Description;

    /// <summary>Time and operations by part.</summary>
    public StepMeter Meter { get; } = new();

    /// <summary>Bytes of the buffers that the last pass cut.</summary>
    public long BufferBytes => _arena?.Used ?? 0;

    /// <summary>Bytes of every buffer of a training pass over a batch, frozen weights and parameters apart.</summary>
    public static long BytesFor(CausalModel model, TokenBatch batch, bool checkpointing)
    {
        var arena = new Arena();
        var shape = new FastShape(model.Config);
        var linear = new FastLinear(model, new StepMeter(), new PanelPlan());
        var mode = checkpointing ? PassMode.Recomputed : PassMode.Kept;
        var meter = new StepMeter();
        Cut(model, shape, linear, new FastHead(model, shape, linear, new FastNorm(model, shape), meter), new BlockAttention(shape, meter), arena, batch, mode);
        return arena.Used;
    }

    public LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key)
    {
        CheckIds(batch);
        if (batch.TrainedTokens == 0) return new LossResult(0, 0);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var mode = _model.Options.GradientCheckpointing ? PassMode.Recomputed : PassMode.Kept;
        var (work, buffers) = Prepare(batch, mode);
        _linear.Key = key;
        return new LossResult(Train(work, buffers, mode, lossScale), batch.TrainedTokens);
    }

    public float[] TokenLosses(TokenBatch batch)
    {
        CheckIds(batch);
        var losses = new float[batch.Length];
        if (batch.TrainedTokens == 0) return losses;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var (work, buffers) = Prepare(batch, PassMode.Forward);
        _linear.Key = null;
        var subset = TakesSubset(work);
        Embed(work, buffers.Input(0));
        for (var l = 0; l < _shape.Layers; l++)
        {
            Visit(l, l + 1 < _shape.Layers ? l + 1 : -1);
            _layer.Forward(_model.Layers[l], buffers.Input(l), Output(buffers, l, subset), subset && l == _shape.Layers - 1);
        }
        _head.Run(work, buffers, LossRowsOf(work, buffers, subset), null, false);
        for (var i = 0; i < work.LossCount; i++) losses[work.LossRows[i]] = (float)work.Losses[i];
        return losses;
    }

    public Tensor Logits(TokenBatch batch)
    {
        CheckIds(batch);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var (work, buffers) = Prepare(batch, PassMode.Forward);
        _linear.Key = null;
        Embed(work, buffers.Input(0));
        for (var l = 0; l < _shape.Layers; l++)
        {
            Visit(l, l + 1 < _shape.Layers ? l + 1 : -1);
            _layer.Forward(_model.Layers[l], buffers.Input(l), buffers.Input(l + 1), false);
        }
        var logits = empty(batch.Length, _shape.Vocabulary, dtype: ScalarType.Float32);
        _head.Logits(buffers.Input(_shape.Layers), batch.Length, TorchMemory.Pointer(logits));
        return logits.MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _arena?.Dispose();
        _arena = null;
    }

    private double Train(FastBatch work, FastBuffers buffers, PassMode mode, double lossScale)
    {
        var last = _shape.Layers - 1;
        var lowest = LowestTrainedLayer(_model);
        var subset = TakesSubset(work);
        Embed(work, buffers.Input(0));
        for (var l = 0; l <= last; l++)
        {
            Visit(l, l < last ? l + 1 : last - 1);
            _layer.Forward(_model.Layers[l], buffers.Input(l), Output(buffers, l, subset), subset && l == last);
        }
        var below = lowest <= last;
        var sum = _head.Run(work, buffers, LossRowsOf(work, buffers, subset), lossScale, below);
        if (!below) return sum;
        if (!subset) Rows.Scatter(buffers.RowGradient, work.LossRows, work.LossCount, _shape.Hidden, buffers.Gradient, work.Tokens);
        for (var l = last; l >= Math.Max(0, lowest); l--)
        {
            var layer = _model.Layers[l];
            if (l < last) Visit(l, l > lowest ? l - 1 : -1);
            // The last layer's backward pass follows its forward pass at once, so its state is still there in either mode.
            if (l < last && mode == PassMode.Recomputed) _layer.Forward(layer, buffers.Input(l), null, false);
            var rows = subset && l == last;
            _layer.Backward(layer, buffers.Input(l), rows ? buffers.RowGradient : buffers.Gradient, rows, l > lowest);
        }
        if (lowest < 0) AddEmbeddingGradient(work, buffers.Gradient);
        return sum;
    }

    private float* Output(FastBuffers buffers, int layer, bool subset) => subset && layer == _shape.Layers - 1 ? buffers.RowOutput : buffers.Input(layer + 1);

    // The stack's output at the rows that carry loss.
    private float* LossRowsOf(FastBatch work, FastBuffers buffers, bool subset)
    {
        if (!subset) Rows.Gather(buffers.Input(_shape.Layers), work.LossRows, work.LossCount, _shape.Hidden, buffers.RowOutput);
        return buffers.RowOutput;
    }

    // Worth its gather and scatter only where rows fall away; dropout masks are keyed by the row's place among all rows.
    private bool TakesSubset(FastBatch work)
        => !_shape.Fused && work.LossCount * 10L < work.Tokens * 9L && !(_linear.Key is not null && _model.Linears.Any(linear => linear.Adapter is { Dropout: > 0 }));

    private (FastBatch Work, FastBuffers Buffers) Prepare(TokenBatch batch, PassMode mode)
    {
        _stream?.CheckFiles();
        var counting = new Arena();
        Cut(_model, _shape, _linear, _head, _attention, counting, batch, mode);
        if (_arena is null || _arena.Capacity < counting.Used)
        {
            _arena?.Dispose();
            _arena = new Arena(counting.Used);
        }
        _arena.Reset();
        var (work, buffers) = Cut(_model, _shape, _linear, _head, _attention, _arena, batch, mode);
        (_layer.Batch, _layer.Buffers) = (work, buffers);
        return (work, buffers);
    }

    private static (FastBatch Work, FastBuffers Buffers) Cut(
        CausalModel model, FastShape shape, FastLinear linear, FastHead head, BlockAttention attention, Arena arena, TokenBatch batch, PassMode mode)
    {
        var work = new FastBatch(arena, model.Config, batch);
        linear.Allocate(arena, batch.Length);
        head.Allocate(arena, batch.Length, work.LossCount);
        attention.Allocate(arena, batch.SegmentStarts, work.FirstPosition);
        return (work, new FastBuffers(arena, model, shape, mode, batch.Length, work.LossCount, LowestTrainedLayer(model)));
    }

    private void Embed(FastBatch work, float* target)
    {
        var start = StepMeter.Now;
        long hidden = _shape.Hidden;
        var (weight, ids) = (_model.Embedding.Weight, work.Batch.TokenIds);
        var trained = TrainsEmbedding(_model) ? _model.Parameters.ValuePointer + _model.Embedding.Trained!.Offset : null;
        for (var t = 0; t < ids.Length; t++)
        {
            if (trained == null) weight.Materialize(ids[t], 1, target + t * hidden);
            else NativeMemory.Copy(trained + ids[t] * hidden, target + t * hidden, (nuint)hidden * sizeof(float));
        }
        if (_shape.EmbeddingMultiplier != 1f)
            for (long i = 0; i < (long)ids.Length * _shape.Hidden; i++) target[i] *= _shape.EmbeddingMultiplier;
        _stream?.AfterEmbedding();
        Meter.Add(StepPart.Elementwise, start);
    }

    // A token may occur many times: columns are split among threads, so each sum has one owner and one order.
    private void AddEmbeddingGradient(FastBatch work, float* gradient)
    {
        var start = StepMeter.Now;
        long hidden = _shape.Hidden;
        var ids = work.Batch.TokenIds;
        var target = _model.Parameters.GradientPointer + _model.Embedding.Trained!.Offset;
        TorchThreads.For(0, hidden, 64, (begin, end) =>
        {
            for (var t = 0; t < ids.Length; t++)
            {
                var row = target + ids[t] * hidden;
                Arithmetic.AddScaled(row, gradient + t * hidden, _shape.EmbeddingMultiplier, row, begin, end);
            }
        });
        Meter.Add(StepPart.Elementwise, start);
    }

    private static bool TrainsEmbedding(CausalModel model) => model.AdaptersEnabled && model.Embedding.Trained is not null;

    private void Visit(int layer, int next) => _stream?.Visit(layer, next);

    // -1 where the embedding is trained, the layer count where nothing below the final norm is.
    private static int LowestTrainedLayer(CausalModel model)
    {
        if (TrainsEmbedding(model)) return -1;
        if (!model.AdaptersEnabled) return model.Layers.Count;
        foreach (var layer in model.Layers)
        {
            if (layer.Linears.Any(linear => linear.Adapter is not null || linear.TrainedWeight is not null || linear.TrainedBias is not null)
                || layer.Norms.Any(norm => norm.Trained is not null)) return layer.Index;
        }
        return model.Layers.Count;
    }

    private void CheckIds(TokenBatch batch)
    {
        var size = _model.Config.VocabularySize;
        foreach (var id in batch.TokenIds)
            if ((uint)id >= (uint)size) throw new ModelException($"token id {id} is outside the model's vocabulary of {size}; data and model use different tokenizers");
        foreach (var id in batch.Targets)
            if (id != TokenBatch.IgnoredTarget && (uint)id >= (uint)size) throw new ModelException($"target id {id} is outside the model's vocabulary of {size}; data and model use different tokenizers");
    }
}
