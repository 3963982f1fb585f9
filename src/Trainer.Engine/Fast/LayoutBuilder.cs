using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Passes;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Parts;

namespace Trainer.Engine.Fast;

/// <summary>Lists the buffers of a pass.</summary>
internal sealed class LayoutBuilder
{
    private readonly AdapterBlueprint _adapter;
    private readonly BatchShape _batch;
    private readonly PassMode _mode;
    private readonly EngineShape _engine;
    private readonly FastShape _shape;
    private readonly ModelConfig _config;
    private readonly List<LowRankUpdate> _updates;
    private readonly List<ExpertUpdate> _expertUpdates;
    private readonly BlockBuffers _blocks;
    private readonly MixerBuffers _mixers;
    private readonly int _lowest;

    public LayoutBuilder(AdapterBlueprint adapter, BatchShape batch, PassMode mode, EngineShape engine)
    {
        // Logits of all rows ask for no row in particular.
        if (mode == PassMode.Logits) batch = batch with { LossRows = 0 };
        (_adapter, _batch, _mode, _engine, _config) = (adapter, batch, mode, engine, adapter.Decoder.Config);
        _shape = new FastShape(_config);
        _updates = [.. adapter.Modules.Where(trained => trained.Module.Kind == ModuleKind.Linear).Select(trained => trained.Update).OfType<LowRankUpdate>()];
        _expertUpdates = [.. adapter.Modules.SelectMany(trained => trained.Experts)];
        _blocks = new BlockBuffers(_config, batch.Tokens);
        _mixers = new MixerBuffers(_config, _shape, batch, engine.Threads);
        _lowest = adapter.LowestLayer;
        Attention = AttentionBlocks.Of(_shape, batch);
        LossChunk = FastHead.Chunk(_shape, batch.LossRows);
        // Dropout masks are keyed by the row's place among all rows; a balancing term asks all tokens' routers.
        IsSubset = mode != PassMode.Logits && !_shape.Fused && batch.LossRows * 10 < batch.Tokens * 9
            && !(batch.Drops && AllUpdates.Any(update => update.Dropout > 0)) && _config.BalanceLoss == 0;
    }

    public bool IsSubset { get; }

    public long LossChunk { get; }

    public long LossRows => _batch.LossRows;

    public AttentionBlocks Attention { get; }

    // Whether the pass has a backward pass at all, and one that reaches the layers.
    private bool IsTraining => _mode is PassMode.Recomputed or PassMode.Kept;

    private IEnumerable<LowRankUpdate> AllUpdates => _updates.Concat(_expertUpdates.Select(one => one.Update));

    private bool ReachesLayers => IsTraining && _lowest < _shape.Layers;

    public IEnumerable<PassBuffer> Buffers()
        => [.. Tables(), .. Products(), .. Adapters(), .. Head(), .. Attention.Buffers(_shape, _engine.Threads, IsTraining), .. Stream(), .. SmallInputs(),
            .. _mixers.Sources(ReachesLayers ? _lowest : _shape.Layers), .. Layers(), .. Shared(), .. Rows()];

    private IEnumerable<PassBuffer> Tables()
    {
        yield return new(BufferUse.Batch, new(BufferId.Positions), _batch.Tokens, sizeof(int));
        if (_shape.Temperature is not null) yield return new(BufferUse.Batch, new(BufferId.Temperatures), _batch.Tokens);
        for (var r = 0; r < _config.Ropes.Count; r++)
        {
            var count = _batch.Positions * (_config.Ropes[r].Dimensions / 2);
            yield return new(BufferUse.Batch, new(BufferId.Cos, r), count);
            yield return new(BufferUse.Batch, new(BufferId.Sin, r), count);
        }
        yield return new(BufferUse.Batch, new(BufferId.LossRows), _batch.LossRows, sizeof(int));
        yield return new(BufferUse.Batch, new(BufferId.LossTargets), _batch.LossRows, sizeof(int));
        yield return new(BufferUse.Batch, new(BufferId.LossFactors), _batch.LossRows);
        yield return new(BufferUse.Batch, new(BufferId.Losses), _batch.LossRows, sizeof(double));
        yield return new(BufferUse.Batch, new(BufferId.LogitMeans), _batch.LossRows, sizeof(double));
    }

    private IEnumerable<PassBuffer> Products()
    {
        var (layers, head) = (_engine.Layers, _engine.Head);
        var (exact, narrow) = _engine.Compute switch
        {
            ComputeKind.BFloat16 => ((IReadOnlyList<MatrixShape>)[head], BFloat16Product.Buffers(_batch.Tokens, [.. layers, head], _engine.PanelElements)),
            ComputeKind.Int8 => ([head], Int8Product.Buffers(_batch.Tokens, layers, _engine.PanelElements)),
            _ => ([.. layers, head], []),
        };
        return [.. CpuKernels.ExactBuffers(_batch.Tokens, exact, _engine.Threads, _engine.PanelElements), .. narrow];
    }

    private IEnumerable<PassBuffer> Adapters()
    {
        if (IsTraining)
        {
            var rank = AllUpdates.Select(update => (long)update.Rank).DefaultIfEmpty().Max();
            yield return Scratch(BufferId.LowGradient, _batch.Tokens * rank);
            yield return Scratch(BufferId.UpperGradient, rank * AllUpdates.Select(update => update.Outputs).DefaultIfEmpty().Max());
            yield return Scratch(BufferId.Ones, _batch.Tokens);
        }
        if (_expertUpdates.Where(one => one.Expert < 0).Select(one => one.Update.Rank * one.Update.Outputs).DefaultIfEmpty().Max() is > 0 and var upper)
            yield return Scratch(BufferId.ExpertUpper, upper);
        if (_batch.Drops && AllUpdates.Where(update => update.Dropout > 0).Select(update => update.Inputs).DefaultIfEmpty().Max() is > 0 and var widest)
        {
            yield return Scratch(BufferId.Dropped, _batch.Tokens * widest);
            yield return Scratch(BufferId.Mask, _batch.Tokens * widest);
        }
        List<LowRankUpdate> scaled = [.. _updates.Where(update => update.Magnitude is not null)];
        if (scaled.Count == 0) yield break;
        var high = scaled.Max(update => update.Outputs);
        yield return Scratch(BufferId.WrittenRows,
            scaled.Max(update => PanelPlan.RowsOf(update.Outputs, update.Inputs, _batch.Tokens, _engine.PanelElements) * update.Inputs));
        yield return Scratch(BufferId.Ratio, high);
        if (!IsTraining) yield break;
        yield return Scratch(BufferId.RatioSums, high);
        yield return Scratch(BufferId.ScaledGradient, _batch.Tokens * high);
    }

    private IEnumerable<PassBuffer> Head()
    {
        yield return new(BufferUse.Loss, new(BufferId.Logits), LossChunk * _shape.Vocabulary);
        yield return new(BufferUse.Loss, new(BufferId.HeadNormed), _batch.LossRows * _shape.Hidden);
        if (_shape.LogitCap is not null) yield return new(BufferUse.Loss, new(BufferId.LogitSlopes), (long)_shape.Vocabulary * _engine.Threads);
        if (_adapter.Find(_adapter.Decoder.Head)?.Update is { } update)
            yield return new(BufferUse.Loss, new(BufferId.HeadLow), (_mode == PassMode.Logits ? _batch.Tokens : LossChunk) * update.Rank);
    }

    // Inputs at and above the lowest trained layer are needed again; others take turns.
    private IEnumerable<PassBuffer> Stream()
    {
        var count = _batch.Tokens * _shape.Hidden;
        yield return new(BufferUse.Stream, new(BufferId.EvenInput), count);
        yield return new(BufferUse.Stream, new(BufferId.OddInput), count);
        if (!IsTraining) yield break;
        for (var l = Math.Max(0, _lowest); l < _shape.Layers; l++) yield return new(BufferUse.Stream, new(BufferId.Input, l), count);
    }

    // Small inputs of all layers, and what is made of them layer by layer.
    private IEnumerable<PassBuffer> SmallInputs()
    {
        if (_config.PerLayerInput is not { } small) yield break;
        var (count, each) = (_batch.Tokens * _shape.Layers * small.Size, _batch.Tokens * small.Size);
        yield return new(BufferUse.Stream, new(BufferId.SmallInputs), count);
        if (IsTraining && _lowest < 0) yield return new(BufferUse.Stream, new(BufferId.SmallInputGradients), count);
        yield return Scratch(BufferId.SmallRaw, count);
        yield return Scratch(BufferId.SmallInverse, _batch.Tokens * _shape.Layers);
        foreach (var buffer in AdapterState(-1, _adapter.Modules.Where(trained => _adapter.Decoder.Ends.Contains(trained.Module)))) yield return buffer;
        yield return Scratch(BufferId.StepSmall, each);
        yield return Scratch(BufferId.StepActivated, each);
        if (IsSubset) yield return Scratch(BufferId.StepRows, _batch.LossRows * small.Size);
        if (ReachesLayers) yield return Scratch(BufferId.StepActivatedGradient, each);
    }

    // Layers that keep their state have it to themselves; all others share one.
    private IEnumerable<PassBuffer> Layers()
    {
        var owners = _mode == PassMode.Kept ? Math.Clamp(_lowest, 0, _shape.Layers) : _shape.Layers;
        var trained = _adapter.Modules.ToLookup(trained => trained.Module.Layer);
        IEnumerable<PassBuffer> State(int index, int first, int count)
        {
            List<TrainedModule> own = [.. Enumerable.Range(first, count).SelectMany(layer => trained[layer])];
            List<LayerConfig> layers = [.. _config.Layers.Skip(first).Take(count)];
            return [.. Around(index, layers), .. _mixers.Kept(index, first, layers), .. _blocks.Kept(index, layers), .. AdapterState(index, own),
                .. _blocks.Low(index, own)];
        }
        return [.. owners > 0 ? State(-1, 0, owners) : [], .. Enumerable.Range(owners, _shape.Layers - owners).SelectMany(layer => State(layer, layer, 1))];
    }

    // The stream around a layer's parts.
    private IEnumerable<PassBuffer> Around(int index, IReadOnlyList<LayerConfig> layers)
    {
        PassBuffer Kept(BufferId id, long width) => new(BufferUse.Activations, new(id, index), _batch.Tokens * width);
        var (normsMixer, normsBlock) = (layers.Any(layer => layer.Norms.AfterAttention is not null), layers.Any(layer => layer.Norms.AfterMlp is not null));
        if (normsMixer) yield return Kept(BufferId.RawAttention, _shape.Hidden);
        if (normsMixer) yield return Kept(BufferId.AttentionInverse, 1);
        if (normsBlock) yield return Kept(BufferId.RawMlp, _shape.Hidden);
        if (normsBlock) yield return Kept(BufferId.MlpInverse, 1);
        if (_config.PerLayerInput is { } small)
        {
            yield return Kept(BufferId.StepInput, _shape.Hidden);
            yield return Kept(BufferId.StepGate, small.Size);
            yield return Kept(BufferId.RawStep, _shape.Hidden);
            yield return Kept(BufferId.StepInverse, 1);
        }
        yield return Kept(BufferId.Middle, _shape.Hidden);
        yield return Kept(BufferId.FirstInverse, 1);
        yield return Kept(BufferId.SecondInverse, 1);
    }

    // Room for the largest adapter of each linear among the layers that share the state.
    private IEnumerable<PassBuffer> AdapterState(int index, IEnumerable<TrainedModule> trained)
    {
        foreach (var linear in trained.Where(one => one.Update is not null).GroupBy(one => BufferKey.Of(one.Module), one => one.Update!))
        {
            PassBuffer Kept(BufferId id, long elements) => new(BufferUse.Activations, new(id, index, linear.Key.Role, linear.Key.Part), elements);
            yield return Kept(BufferId.AdapterLow, _batch.Tokens * linear.Max(update => update.Rank));
            List<LowRankUpdate> scaled = [.. linear.Where(update => update.Magnitude is not null)];
            if (scaled.Count == 0) continue;
            yield return Kept(BufferId.AdapterWhole, _batch.Tokens * scaled.Max(update => update.Outputs));
            yield return Kept(BufferId.AdapterNorms, scaled.Max(update => update.Outputs));
        }
    }

    private IEnumerable<PassBuffer> Shared()
    {
        yield return Scratch(BufferId.Normed, _batch.Tokens * _shape.Hidden);
        yield return Scratch(BufferId.Delta, _batch.Tokens * _shape.Hidden);
        foreach (var buffer in _mixers.Shared(ReachesLayers).Concat(_blocks.Shared(ReachesLayers))) yield return buffer;
        if (ReachesLayers) yield return Scratch(BufferId.Gradient, _batch.Tokens * _shape.Hidden);
    }

    private IEnumerable<PassBuffer> Rows()
    {
        yield return Scratch(BufferId.RowOutput, _batch.LossRows * _shape.Hidden);
        yield return Scratch(BufferId.RowInverse, _batch.LossRows);
        if (IsTraining) yield return Scratch(BufferId.RowGradient, _batch.LossRows * _shape.Hidden);
        if (!IsSubset) yield break;
        yield return Scratch(BufferId.RowInput, _batch.LossRows * _shape.Hidden);
        yield return Scratch(BufferId.RowNormed, _batch.LossRows * _shape.Hidden);
        yield return Scratch(BufferId.RowAttended, _batch.LossRows * _mixers.Width);
        yield return Scratch(BufferId.RowQuery, _batch.LossRows * _mixers.Width);
    }

    private static PassBuffer Scratch(BufferId id, long elements) => new(BufferUse.Scratch, new(id), elements);
}
