using TorchSharp;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Engine;
using Trainer.Engine.Native;
using Trainer.Engine.Reference;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Training.Objectives;
using Trainer.Training.Plan;
using Trainer.Training.Proof;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;

namespace Trainer.Training.Steps;

/// <summary>A loaded base with its adapter, as the loop sees them.</summary>
internal sealed class AdaptedModel : IAdaptedModel
{
    private readonly CausalModel _model;
    private readonly LoraSpec _spec;
    private readonly string _baseName;

    private readonly double _smoothing;
    private readonly double _noise;
    private readonly double _temperature;
    private readonly IReadOnlyList<FrozenBlock> _frozen;
    private readonly DeviceParameters? _onDevice;

    private AdaptedModel(CausalModel model, LoraSpec spec, TrainingOptions options)
    {
        (_model, _spec, _baseName) = (model, spec, options.Model);
        Together = options.StreamMicroBatches ?? 1;
        _smoothing = options.Objective == "sft" ? options.LabelSmoothing : 0;
        _temperature = options.Objective == "grpo" ? options.Grpo.Temperature : 1;
        _noise = options.NeftuneNoiseAlpha;
        _frozen = FrozenBlock.Of(options.Lora.FreezeA, spec.IsDoubled, model.Parameters.Entries);
        _onDevice = model.Options.UsesLibtorch ? new DeviceParameters(() => model.Parameters, _frozen) : null;
    }

    // Not kept: the proof of a saved adapter attaches another buffer.
    public IParameterStore Parameters => _onDevice ?? (IParameterStore)new HostParameters(
        _model.Parameters.Entries, () => _model.Parameters.ValueSpan, () => _model.Parameters.GradientSpan, _frozen);

    /// <summary>Ranks by module where the rows decided them; null otherwise.</summary>
    public IReadOnlyDictionary<string, int>? LayerRanks { get; private init; }

    public long TotalParameters => _model.ParameterCount + _model.Parameters.ParameterCount;

    public int VocabularySize => _model.Config.VocabularySize;

    /// <param name="options">The run, its folder the one that holds the weights.</param>
    /// <param name="events">Hears of loading.</param>
    /// <param name="streamBytes">Bytes that a streamed base may take; null is the least.</param>
    /// <param name="readers">Who reads a streamed base on this machine; null is this process alone.</param>
    /// <param name="beginning">What a fresh adapter may take from the run's rows.</param>
    /// <param name="stop">Ends it early, between two tensors.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static AdaptedModel Load(TrainingOptions options, Events events, long? streamBytes = null, StreamReaders? readers = null,
        AdapterBeginning? beginning = null, CancellationToken stop = default)
    {
        var model = LoadAdapted(options, events, streamBytes, readers, beginning, stop);
        try
        {
            model.SettleCompute(options, events);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Base and adapter with every tensor matched and nothing quantized: what can be said of them without reading them.</summary>
    public static AdaptedModel Map(TrainingOptions options, Events events, CancellationToken stop)
        => LoadAdapted(options with { Quantize = QuantizeKind.None, Stream = Choice.Off }, events, null, null, null, stop);

    private static AdaptedModel LoadAdapted(TrainingOptions options, Events events, long? streamBytes, StreamReaders? readers, AdapterBeginning? beginning,
        CancellationToken stop)
    {
        ComputeThreads.Use(options.Threads);
        var phase = options.Quantize == QuantizeKind.None ? "loading" : "loading and quantizing";
        var model = CausalModel.Load(options.ModelDirectory, LoadOptions(options) with { StreamBytes = streamBytes, StreamReaders = readers },
            Teller(phase, events, stop));
        try
        {
            LoraSpec spec;
            IReadOnlyDictionary<string, int>? ranks = null;
            if (options.AdapterDirectory is { } directory)
                spec = PeftFolder.Load(model, directory, options.Lora.Dropout) with { UsesTextClass = options.Lora.TextClass };
            else (spec, ranks) = Begin(model, options, beginning, events, stop);
            // Reading and quantizing leave garbage that nothing would collect before the run's own peak.
            GC.Collect();
            ResidentMemory.Trim();
            return new AdaptedModel(model, spec, options) { LayerRanks = ranks };
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The base alone, or with the adapter of a folder, to be read and not trained.</summary>
    public static AdaptedModel LoadForReading(TrainingOptions options, Events events, CancellationToken stop = default)
    {
        if (options.AdapterDirectory is not null) return LoadAdapted(options, events, null, null, null, stop);
        ComputeThreads.Use(options.Threads);
        var model = CausalModel.Load(options.ModelDirectory, LoadOptions(options), Teller("loading", events, stop));
        return new AdaptedModel(model, new LoraSpec(), options);
    }

    // A shape that the rows decide is known where they were asked before; where nobody asks them, the largest stands for it.
    private static (LoraSpec Spec, IReadOnlyDictionary<string, int>? Ranks) Begin(CausalModel model, TrainingOptions options, AdapterBeginning? beginning,
        Events events, CancellationToken stop)
    {
        var asked = RunAdapter.SpecOf(options.Lora, model.Config.LayerCount);
        if (asked.Init != AdapterInit.Eva || beginning?.Ranks is not null || beginning?.Rows is null)
        {
            var shape = asked.Init == AdapterInit.Eva && beginning?.Ranks is { } known
                ? EvaRanks.Shape(model.Blueprint, asked, known) : RunAdapter.Shape(options, model.Blueprint);
            // What EVA began with is in the checkpoint that such a run goes on from.
            AdapterInjector.Inject(model, asked.Init == AdapterInit.Eva ? shape with { Init = AdapterInit.Kaiming } : shape, options.Seed);
            return (shape, beginning?.Ranks);
        }
        var (spec, ranks, read) = EvaStart.Inject(model, asked, options.Lora.EvaRho, options.Seed, beginning.Rows().Select(batch =>
        {
            stop.ThrowIfCancellationRequested();
            return new TokenBatch(batch.TokenIds, batch.Targets, batch.Positions, batch.SegmentStarts, batch.SegmentWeights);
        }));
        events.Note($"eva found the directions of {ranks.Count} layers in {read} micro-batches; ranks from {ranks.Values.Min()} to {ranks.Values.Max()}");
        return (spec, ranks);
    }

    private static Action<long, long> Teller(string phase, Events events, CancellationToken stop) => (done, total) =>
    {
        stop.ThrowIfCancellationRequested();
        events.Emit(new PhaseProgressed(phase, done, total));
    };

    public double ForwardBackward(MicroBatch batch, double lossScale, StepKey key)
        => _model.ForwardBackward(Tokens(batch, balance: batch.TrainedTokens), lossScale, key).LossSum;

    public double[] ForwardBackward(IReadOnlyList<MicroBatch> batches, double lossScale, IReadOnlyList<StepKey> keys)
        => [.. _model.ForwardBackward([.. batches.Select(batch => Tokens(batch, balance: batch.TrainedTokens))], lossScale,
            [.. keys.Select(key => (StepKey?)key)]).Select(result => result.LossSum)];

    public int Together { get; }

    public double ForwardBackward(MicroBatch batch, Func<float[], float[]> weigh, StepKey key, double balance = 0, float[]? logitMeans = null)
        => _model.ForwardBackward(Tokens(batch, weigh, balance, logitMeans), 1, key).Balance;

    public float[] BaseTokenLosses(MicroBatch batch) => AsBase(() => TokenLosses(batch));

    /// <summary>Computes something with the base alone.</summary>
    public T AsBase<T>(Func<T> compute)
    {
        var wasEnabled = _model.AdaptersEnabled;
        _model.AdaptersEnabled = false;
        try
        {
            return compute();
        }
        finally
        {
            _model.AdaptersEnabled = wasEnabled;
        }
    }

    public float[] TokenLosses(MicroBatch batch, float[]? logitMeans = null) => _model.TokenLosses(Tokens(batch, logitMeans: logitMeans));

    public float[] Logits(MicroBatch batch)
    {
        using var logits = _model.Logits(Tokens(batch));
        using var here = logits.cpu().contiguous();
        return here.data<float>().ToArray();
    }

    public int Threads => torch.get_num_threads();

    public ComputeKind Compute => _model.Options.Compute == ComputeKind.Auto ? ComputeKind.Float32 : _model.Options.Compute;

    // A streamed base is mapped read-only and would be read from disk in full.
    public ulong BaseChecksum() => _model.Options.Stream ? 0 : BaseWeights.Checksum(_model);

    public void WriteAdapter(string directory) => PeftFolder.Save(directory, _model, _spec, _baseName);

    public float[] LogitsFromDisk(string directory, MicroBatch batch)
    {
        if (PeftFolder.FirstDifference(directory, _model, _spec) is { } tensor)
            throw new CannotWriteException($"tensor '{tensor}' of '{directory}' is not what was in memory when it was written; the disk is at fault, the "
                + "newest checkpoint is whole");
        // Lets the engine's buffers go first: the adapter of a large model is read back beside the one in memory.
        _model.ReleaseBuffers();
        // Takes every adapter tensor off the base and builds them anew from the file, with an engine of their own.
        PeftFolder.Load(_model, directory, dropout: 0);
        return Logits(batch);
    }

    public bool ChangesNothing(MicroBatch batch, float[] logits)
    {
        var pairs = _model.Parameters.Entries.Where(entry => entry.Name.EndsWith(".lora_B.weight", StringComparison.Ordinal)).ToList();
        // In a run whose rate was 0 so far B is 0 still, and the adapter changes nothing by right.
        if (pairs.Count == 0 || !pairs.TrueForAll(IsMoved)) return false;
        return AsBase(() => Logits(batch).AsSpan().SequenceEqual(logits));
    }

    private bool IsMoved(ParameterEntry entry)
    {
        var isMoved = false;
        _model.Parameters.Read(entry, part => isMoved |= part.ContainsAnyExcept(0f));
        return isMoved;
    }

    public IEnumerable<string> ReaderVerdicts(string directory)
    {
        foreach (var verdict in ReaderRules.Judge(directory, _model.Config.ModelType, _model.Config.TiedEmbeddings))
            yield return verdict.Loads
                ? $"{verdict.Reader} loads the adapter{MountedOn(verdict.Reader)}{(verdict.Note is null ? "" : $" ({verdict.Note})")}"
                : $"{verdict.Reader} does not load the adapter: {string.Join("; ", verdict.Reasons)}";
    }

    // A multimodal folder holds two classes, and an adapter's names are those of one: in the other they match no module, and readers say no word.
    private string MountedOn(string reader) => (_model.Config.WrapperType, reader) switch
    {
        (null, _) or (_, "llama.cpp") => "",
        ({ } wrapper, "PEFT") => _spec.UsesTextClass
            ? $" on the text model's own class ('{_model.Config.ModelType}'), not on the multimodal one ('{wrapper}')"
            : $" on the multimodal class ('{wrapper}'), not on the text model's own ('{_model.Config.ModelType}')",
        ({ } wrapper, _) => _spec.UsesTextClass ? $" where it serves the text model's own class ('{_model.Config.ModelType}')"
            : $" where it serves the multimodal class ('{wrapper}')",
    };

    /// <summary>Says what the model, adapter included, answers.</summary>
    public PromptSampler Sampler(TrainingOptions options) => new(_model, options);

    /// <summary>Answers each prompt several times.</summary>
    public GroupSampler Groups(PromptSampler sampler, GrpoOptions options) => new(_model, sampler.Text, sampler.Tokenizer, options);

    public string? FindNonFinite(MicroBatch batch)
    {
        if (BaseWeights.FirstNonFinite(_model) is { } name) return $"the base's {name} is not finite";
        return NonFiniteActivation.First(_model, Tokens(batch)) is { } module ? $"all weights are finite, the output of {module} is not" : null;
    }

    public void Dispose()
    {
        _onDevice?.Dispose();
        _model.Dispose();
    }

    private void SettleCompute(TrainingOptions options, Events events)
    {
        if (options.Compute == ComputeKind.Auto)
        {
            var choice = ComputeChoice.For(_model, (long)options.BatchSize * options.Data.MaxSeqLength);
            _model.ComputeIn(choice.Kind);
            if (choice.Reason is { } measured) events.Note(measured);
        }
        else if (ComputeChoice.Warning(_model.Options.Compute, _model.Options.Device) is { } warning)
            events.Warn(warning);
        if (ComputeDevice.Description(options.Device) is { } device) events.Note($"computing on {device}");
        if (_model.Fallback is { } reason)
            events.Warn($"the fast engine cannot compute this model with this adapter: {reason}; the reference engine does, slower and in more memory than "
                + "the plan counts");
        if (_model.Engine.Streaming is { } streaming) events.Note($"streaming: {streaming}");
        foreach (var note in ModelNotes.Of(_model)) events.Note(note);
    }

    private TokenBatch Tokens(MicroBatch batch, Func<float[], float[]>? weigh = null, double balance = 0, float[]? logitMeans = null) =>
        new(batch.TokenIds, batch.Targets, batch.Positions, batch.SegmentStarts, batch.SegmentWeights)
        {
            Weigh = weigh, LabelSmoothing = _smoothing, EmbeddingNoise = _noise, BalanceWeight = balance, Temperature = _temperature, LogitMeans = logitMeans,
        };

    internal static ModelLoadOptions LoadOptions(TrainingOptions options)
    {
        var plain = PlainLoadOptions(options);
        var loaded = options.Loading?.Invoke(plain) ?? plain;
        return options.IsProof ? loaded : ProofRecords.Settle(loaded, options.Device);
    }

    private static ModelLoadOptions PlainLoadOptions(TrainingOptions options) => new ModelLoadOptions
    {
        Quantize = options.Quantize,
        DoubleQuantize = options.DoubleQuant,
        Compute = options.Compute,
        GradientCheckpointing = options.GradientCheckpointing != Checkpointing.None,
        Stream = options.Stream == Choice.On,
    }.On(options.Device);
}
