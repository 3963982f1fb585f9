using TorchSharp;
using Trainer.Engine.Fast.Attention;
using Trainer.Engine.Fast.Convolution;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Delta;
using Trainer.Engine.Fast.Experts;
using Trainer.Engine.Fast.Latent;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Fast.Mamba;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Fast.PerLayer;
using Trainer.Engine.Fast.Streaming;
using Trainer.Engine.Generation;
using Trainer.Engine.Native;
using Trainer.Engine.Passes;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast;

/// <summary>
/// The hand-written engine: no graph, every buffer of a pass cut from one arena by its <see cref="PassLayout"/>, frozen products panel by panel,
/// gradients straight into the flat buffer. It computes what <see cref="FastCapabilities"/> admits, with the reference engine's results.
/// </summary>
internal sealed class FastEngine : IDecoderEngine
{
    // All bits set: floats are not numbers, so whoever reads what nobody wrote is found out too.
    private const byte Untouched = 0xFF;

    private readonly LoadedDecoder _model;
    private readonly FastShape _shape;
    private readonly EngineShape _engine;
    private readonly FastLayer _layer;
    private readonly FastPerLayerInputs? _ends;
    private readonly FastHead _head;
    private readonly StreamedBase? _stream;
    private readonly MeteredKernels _kernels;
    private readonly FastParameters _parameters;
    private readonly List<DeviceMemory> _own = [];
    private DeviceMemory? _block;
    private PassLayout? _last;

    /// <summary>An engine for a model as attached.</summary>
    /// <param name="model">The model.</param>
    /// <param name="panelElements">Aim for the elements of a panel of a frozen matrix.</param>
    /// <param name="guard">Bytes left free behind each buffer, for <see cref="Overrun"/>.</param>
    /// <param name="kernels">What computes; null for what the model asks for.</param>
    public FastEngine(LoadedDecoder model, long panelElements = PanelPlan.Elements, long guard = 0, KernelFactory? kernels = null)
    {
        _model = model;
        _shape = new FastShape(model.Config);
        _engine = EngineShape.Of(model, ComputeThreads.Count) with { PanelElements = panelElements, Guard = guard };
        var panels = new PanelPlan(panelElements);
        var device = (kernels ?? model.Options.Kernels)?.Invoke(_shape, model.Options.Compute, panels) ?? KernelsOf(model, _shape, panels);
        _kernels = new MeteredKernels(device, Meter, new OwnKernels(model.Options.Overrides, device));
        _parameters = new FastParameters(model.Parameters, _kernels);
        var linear = new FastLinear(model, _kernels, _parameters);
        var norms = new FastNorm(model, _kernels, _parameters);
        _layer = new FastLayer(_shape, _kernels, norms, [.. model.Layers.Select(layer => Parts(layer, linear, norms))]);
        _ends = model.Config.PerLayerInput is null ? null : new FastPerLayerInputs(model.Config, model.Ends, _kernels, linear, norms);
        _head = new FastHead(model, _shape, _kernels, linear, norms);
        if (!model.Options.Stream) return;
        _stream = new StreamedBase(model, _kernels.Rooms);
        panels.HeadPages = _stream.Head;
    }

    public string Name => _model.Options.UsesLibtorch ? "libtorch" : "fast";

    public string? Streaming => _stream?.Description;

    /// <summary>Layers that were read of a streamed base so far.</summary>
    public long LayersRead => _stream?.LayersRead ?? 0;

    /// <summary>Time and operations by part.</summary>
    public StepMeter Meter { get; } = new();

    /// <summary>Bytes of the buffers of the last pass.</summary>
    public long BufferBytes => _last?.Bytes ?? 0;

    /// <summary>Bytes of the block that buffers are cut from: those of the largest pass so far.</summary>
    public long AllocatedBytes => _block?.Bytes ?? 0;

    /// <summary>Bytes of the blocks of batches that take turns.</summary>
    public long OwnBytes => _own.Sum(block => block.Bytes);

    /// <summary>Bytes of every buffer of a training pass over a batch, frozen weights and parameters apart.</summary>
    public static long BytesFor(LoadedDecoder model, TokenBatch batch, bool checkpointing, bool drops = false) =>
        EngineLayout.Of(model.ActiveAdapter, BatchShape.Of(batch) with { Drops = drops }, checkpointing ? PassMode.Recomputed : PassMode.Kept,
        EngineShape.Of(model, ComputeThreads.Count)).Bytes;

    public LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key) => Pass.ForwardBackward(_model, batch, lossScale, key, Begin);

    public LossResult[] ForwardBackward(IReadOnlyList<TokenBatch> batches, double lossScale, IReadOnlyList<StepKey?> keys)
    {
        List<int> trained = [.. Enumerable.Range(0, batches.Count).Where(index => batches[index].TrainedTokens > 0)];
        // What is kept of every layer would be kept for every batch.
        if (trained.Count < 2 || !_model.Options.GradientCheckpointing)
            return [.. batches.Zip(keys, (batch, key) => ForwardBackward(batch, lossScale, key))];
        foreach (var batch in batches) Pass.CheckIds(_model, batch);
        var passes = new List<FastStages>();
        try
        {
            List<PassLayout> layouts = [.. trained.Select(index => LayoutOf(batches[index], PassMode.Recomputed, keys[index], isApart: true))];
            _stream?.CheckFiles();
            Reserve(layouts.Max(layout => layout.Bytes));
            for (var i = 0; i < layouts.Count; i++)
            {
                ReserveOwn(i, layouts[i].OwnBytes);
                passes.Add(StagesOf(batches[trained[i]], PassMode.Recomputed, keys[trained[i]], null, new PassMemory(layouts[i], _block!) { Own = _own[i] }));
            }
            var results = Pass.ForwardBackward(_model, passes, [.. trained.Select(index => batches[index])], lossScale);
            return [.. Enumerable.Range(0, batches.Count).Select(index => trained.IndexOf(index) is >= 0 and var at ? results[at] : new LossResult(0, 0))];
        }
        finally
        {
            foreach (var stages in passes) stages.Dispose();
        }
    }

    /// <summary>Touches all memory that a training pass over the batch takes, so that none of its pages is new to the first pass that is measured.</summary>
    public void Touch(TokenBatch batch, StepKey? key)
    {
        Reserve(LayoutOf(batch, _model.Options.GradientCheckpointing ? PassMode.Recomputed : PassMode.Kept, key, isApart: false).Bytes);
        _kernels.Fill(new Place(_block!, 0), _block!.Bytes / sizeof(float), 0f);
    }

    public float[] TokenLosses(TokenBatch batch) => Pass.TokenLosses(_model, batch, Begin);

    public Tensor Logits(TokenBatch batch) => Pass.Logits(_model, batch, Begin);

    ITokenDecoder IDecoderEngine.Decoder() => new FastDecoder(_model, this);

    /// <summary>Room for the keys and values of a text that is to be continued. The caller disposes of it.</summary>
    public KeyValues BeginText() => new(_shape, _kernels);

    /// <summary>Continues texts: computes tokens behind those that they hold, adds theirs to them, and writes the logits after the last of each.</summary>
    /// <param name="parts">S texts with T tokens in all.</param>
    /// <param name="logits">(S, vocabulary).</param>
    public void Continue(IReadOnlyList<TextPart> parts, Span<float> logits)
    {
        var batch = TokenBatch.Continuation(parts);
        Pass.CheckIds(_model, batch);
        KeyValues[] past = [.. parts.Select(part => ((FastDecoder)part.Text).Past)];
        for (var s = 0; s < past.Length; s++) past[s].Reserve(parts[s].Tokens.Length);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var stages = Begin(batch, PassMode.Logits, null, past);
        Pass.Forward(_model, stages);
        stages.LastLogits(logits);
        for (var s = 0; s < past.Length; s++) past[s].Advance(parts[s].Tokens.Length);
    }

    /// <summary>Buffers of the last pass behind whose end something was written; the engine must have been made with a guard.</summary>
    public IReadOnlyList<string> Overrun() => [.. _last!.Buffers.Where(IsOverrun).Select(buffer => buffer.Name)];

    public void Dispose()
    {
        _stream?.Dispose();
        _block?.Dispose();
        _block = null;
        foreach (var own in _own) own.Dispose();
        _own.Clear();
        _kernels.Dispose();
    }

    private FastParts Parts(DecoderLayer layer, FastLinear linear, FastNorm norms) => new(Mixer(layer, linear, norms), Block(layer, linear, norms),
        _model.Config.PerLayerInput is null ? null : new FastPerLayerStep(layer, _model.Config, _kernels, linear, norms), Scalar(layer));

    private float Scalar(DecoderLayer layer)
    {
        if (!layer.Config.HasScalar) return 1f;
        Span<float> value = stackalloc float[1];
        _kernels.Download(_kernels.Of(layer.Modules.Parameter("layer_scalar")), value);
        return value[0];
    }

    private IFastMixer? Mixer(DecoderLayer layer, FastLinear linear, FastNorm norms) => layer.Config.Mixer switch
    {
        ShortConvolution convolution => new FastConvolution(convolution, layer, _shape, _kernels, linear),
        GatedDelta delta => new FastDelta(delta, layer, _kernels, linear, norms),
        Mamba2 mamba => new FastMamba(mamba, layer, _kernels, linear, norms),
        SideBySide both => new FastSideBySide(both, Attention(both.Attention, layer, linear, norms), new FastMamba(both.Mamba, layer, _kernels, linear, norms),
            _shape, _kernels),
        LatentAttention latent => new FastLatent(latent, layer, _model.Config, _kernels, linear, norms),
        NoMixer => null,
        var attention => Attention((SelfAttention)attention, layer, linear, norms),
    };

    private FastAttention Attention(SelfAttention attention, DecoderLayer layer, FastLinear linear, FastNorm norms)
        => new(attention, layer, _model.Config, _kernels, linear, norms);

    private IFastBlock? Block(DecoderLayer layer, FastLinear linear, FastNorm norms) => layer.Config.FeedForward switch
    {
        DenseBesideExperts both => new FastDenseBesideExperts(both, _model, layer.Modules, _kernels, linear, norms, _parameters),
        ExpertFeedForward experts => new FastExperts(experts, _model, layer.Modules, _kernels, linear, _parameters),
        NoFeedForward => null,
        var dense => new FastDense((DenseFeedForward)dense, layer.Modules, _kernels, linear),
    };

    private static IKernels KernelsOf(LoadedDecoder model, FastShape shape, PanelPlan panels) => model.Options.UsesLibtorch
        ? new TorchKernels(shape, model.Options.Compute, panels, model.Options.Device, keepsWeights: !model.Options.Stream)
        : new CpuKernels(shape, model.Options.Compute, panels);

    private FastStages Begin(TokenBatch batch, PassMode mode, StepKey? key) => Begin(batch, mode, key, null);

    private FastStages Begin(TokenBatch batch, PassMode mode, StepKey? key, KeyValues[]? past)
    {
        _stream?.CheckFiles();
        var layout = _last = LayoutOf(batch, mode, key, isApart: false);
        Reserve(layout.Bytes);
        if (_engine.Guard > 0)
            _kernels.Upload<byte>(Enumerable.Repeat(Untouched, checked((int)layout.Bytes)).ToArray(), new Place(_block!, 0, ElementType.Byte));
        return StagesOf(batch, mode, key, past, new PassMemory(layout, _block!));
    }

    private PassLayout LayoutOf(TokenBatch batch, PassMode mode, StepKey? key, bool isApart)
        => EngineLayout.Of(_model.ActiveAdapter, BatchShape.Of(batch) with { Drops = key is not null }, mode,
            _engine with { Threads = ComputeThreads.Count }, isApart);

    private void Reserve(long bytes)
    {
        if (_block is not null && _block.Bytes >= bytes) return;
        _block?.Dispose();
        _block = null;
        _block = _kernels.Allocate(bytes);
    }

    // Blocks of batches that take turns; like the other they stay for the next step.
    private void ReserveOwn(int index, long bytes)
    {
        if (index == _own.Count) _own.Add(_kernels.Allocate(bytes));
        if (_own[index].Bytes >= bytes) return;
        _own[index].Dispose();
        _own.RemoveAt(index);
        _own.Insert(index, _kernels.Allocate(bytes));
    }

    private FastStages StagesOf(TokenBatch batch, PassMode mode, StepKey? key, KeyValues[]? past, PassMemory memory)
        => new(_model, _shape, _kernels, _parameters, _layer, _ends, _head, _stream,
            new FastPass(_model.Config, batch, _kernels, memory, key) { Past = past, Balance = BalanceOf(batch, mode) }, Meter);

    private FastBalance? BalanceOf(TokenBatch batch, PassMode mode)
    {
        if (mode is not (PassMode.Recomputed or PassMode.Kept) || batch.BalanceWeight == 0 || _model.Config.BalanceLoss == 0) return null;
        return new FastBalance(_model.Config.BalanceLoss, batch.BalanceWeight, _model.Config.Experts!.Experts);
    }

    private bool IsOverrun(PassBuffer buffer)
    {
        var behind = new byte[_engine.Guard];
        _kernels.Download<byte>(new Place(_block!, _last!.OffsetOf(buffer.Key)!.Value + buffer.Bytes, ElementType.Byte), behind);
        return behind.AsSpan().ContainsAnyExcept(Untouched);
    }
}
