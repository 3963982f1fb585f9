using TorchSharp;

namespace Trainer.Engine;

/// <summary>A causal language model with a frozen base and, once attached, trainable parameters. Not thread-safe.</summary>
public sealed class CausalModel : IDisposable
{
    private readonly WeightFiles _files;
    private IDecoderEngine? _engine;

    private CausalModel(string folder, ModelConfig config, ModelLoadOptions options, WeightFiles files)
    {
        Folder = folder;
        Config = config;
        Blueprint = DecoderBlueprint.Of(config);
        Options = options;
        _files = files;
        (Layers, Ends, Embedding, FinalNorm, Head) = new ModelLoader(Blueprint, options, files).Build();
        Linears = [.. Layers.SelectMany(layer => layer.Linears), .. Ends.Linears];
        Norms = [.. Layers.SelectMany(layer => layer.Norms), .. Ends.Norms, FinalNorm];
        Adapter = AdapterBlueprint.None(Blueprint);
        Parameters = new ParameterBuffer([], options.Device);
    }

    /// <summary>The folder it came from.</summary>
    public string Folder { get; }

    /// <summary>What it computes.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its modules, as they were known before any weight was read.</summary>
    public DecoderBlueprint Blueprint { get; }

    /// <summary>How it was loaded.</summary>
    public ModelLoadOptions Options { get; private set; }

    /// <summary>The layers, in order.</summary>
    public IReadOnlyList<DecoderLayer> Layers { get; }

    /// <summary>Modules beside the layers that most families lack.</summary>
    internal LayerModules Ends { get; }

    /// <summary>Every linear, the head not among them.</summary>
    public IReadOnlyList<LinearModule> Linears { get; }

    /// <summary>The experts of the layers that have any.</summary>
    public IEnumerable<ExpertsModule> Experts => Layers.Select(layer => layer.Experts).OfType<ExpertsModule>();

    /// <summary>The output head <c>lm_head</c>; its weight is the embedding's where they are tied.</summary>
    public LinearModule Head { get; }

    /// <summary>The token embedding.</summary>
    public EmbeddingModule Embedding { get; }

    /// <summary>The norm before the head.</summary>
    public NormModule FinalNorm { get; }

    /// <summary>Every norm, the final one last.</summary>
    public IReadOnlyList<NormModule> Norms { get; }

    /// <summary>What is trained, module by module; nothing until <see cref="Attach"/>.</summary>
    public AdapterBlueprint Adapter { get; private set; }

    /// <summary>The values of what is trained and their gradients. Owned by the model.</summary>
    public ParameterBuffer Parameters { get; private set; }

    /// <summary>False computes the base alone: adapters and trained copies are passed over.</summary>
    public bool AdaptersEnabled { get; set; } = true;

    /// <summary>What is trained and takes part in a pass: nothing while adapters are passed over.</summary>
    internal AdapterBlueprint ActiveAdapter => AdaptersEnabled ? Adapter : AdapterBlueprint.None(Blueprint);

    /// <summary>Parameters of the base (tied embeddings once).</summary>
    public long ParameterCount => Blueprint.ParameterCount;

    /// <summary>Bytes that the base's matrices occupy, mapped pages included.</summary>
    public long WeightBytes => Linears.Sum(linear => linear.Weight.ByteCount)
        + Experts.SelectMany(module => module.Experts).Sum(expert => expert.GateUp.ByteCount + expert.Down.ByteCount)
        + Embedding.Weight.ByteCount + Ends.Tables.Values.Sum(table => table.ByteCount)
        + (Config.TiedEmbeddings ? 0 : Head.Weight.ByteCount);

    /// <summary>Names of the folder's tensors that belong to other towers (vision, audio, prediction of further tokens) and are not used.</summary>
    public IReadOnlyList<string> IgnoredTensors => _files.Ignored;

    /// <summary>The files that the base's tensors lie in.</summary>
    internal IEnumerable<string> WeightPaths => _files.Paths;

    /// <summary>The engine that computes; made at first use.</summary>
    public IDecoderEngine Engine => _engine ??= EngineSelection.Create(this);

    /// <summary>Why the reference engine computes this model with its present adapter though the processor's fast one might have been chosen, in words; null where it does not.</summary>
    public string? Fallback => EngineSelection.Fallback(this);

    /// <summary>Loads a Hugging Face model folder through memory mapping.</summary>
    /// <param name="folder">Folder with config.json and safetensors files.</param>
    /// <param name="options">How to hold and compute it; null takes the defaults.</param>
    /// <param name="progress">Called with bytes done and bytes in all.</param>
    /// <exception cref="ModelException">Anything wrong with the folder, by name of file, key or tensor.</exception>
    public static CausalModel Load(string folder, ModelLoadOptions? options = null, Action<long, long>? progress = null)
    {
        var config = ConfigLoader.Load(folder);
        var files = new WeightFiles(folder, config, progress);
        try
        {
            // A multimodal folder that holds a head of its own uses it, whatever its config says.
            var (head, table) = ("lm_head.weight", $"{config.TextPath}.embed_tokens.weight");
            if (config is { TiedEmbeddings: true, WrapperType: not null } && files.Has(head) && files.Has(table) && !files.AreSame(head, table)) config = config with { TiedEmbeddings = false };
            var model = new CausalModel(folder, config, options ?? new ModelLoadOptions(), files);
            // What was looked over while loading need not stay.
            if (model.Options.Stream) model.DropPages();
            if (!model.Options.TrainAllWeights) return model;
            if (model.Blueprint.Modules.FirstOrDefault(module => module.Kind is ModuleKind.Parameter or ModuleKind.Experts || (module.Kind == ModuleKind.Embedding && module != model.Blueprint.Embedding)) is { } fixedModule)
                throw new ModelException($"model '{folder}': '{fixedModule.Path}' cannot be trained, so not all weights can; train an adapter");
            model.Attach(AdapterBlueprint.Whole(model.Blueprint));
            model.CopyBase();
            return model;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Makes the tensors of an adapter, all 0, and hangs them onto the modules; what was there before is released.</summary>
    /// <param name="adapter">What is trained of this model.</param>
    public void Attach(AdapterBlueprint adapter)
    {
        ReleaseBuffers();
        Parameters.Dispose();
        Adapter = adapter;
        Parameters = new ParameterBuffer(adapter.Tensors, Options.Device);
        foreach (var linear in Linears.Append(Head)) linear.Attach(adapter.Find(linear.Blueprint), Parameters);
        foreach (var experts in Experts) experts.Attach(adapter.Find(experts.Blueprint), Parameters);
        Carried = new Dictionary<string, (long[], float[])>();
        foreach (var norm in Norms)
        {
            var trained = adapter.Find(norm.Blueprint);
            (norm.Trained, norm.TrainedBias) = (Parameters.Find(trained?.Weight), Parameters.Find(trained?.Bias));
        }
        Embedding.Attach(adapter.Find(Embedding.Blueprint), Parameters);
    }

    /// <summary>Tensors of a loaded adapter that adapt other towers: text does not reach them, and a saved adapter has them as they were.</summary>
    public IReadOnlyDictionary<string, (long[] Shape, float[] Values)> Carried { get; set; } = new Dictionary<string, (long[], float[])>();

    /// <summary>Fills trained copies of base tensors with the base's values.</summary>
    public void CopyBase()
    {
        if (Embedding.Trained is { } embedding) Parameters.WriteWeight(embedding, Embedding.Weight);
        if (Embedding.Rows is { } rows) Parameters.WriteRows(rows.Entry, Embedding.Weight, rows.Ids);
        if (Head.Rows is { } own && own.Entry != Embedding.Rows?.Entry) Parameters.WriteRows(own.Entry, Head.Weight, own.Ids);
        foreach (var linear in Linears.Append(Head))
        {
            if (linear.TrainedWeight is { } weight) Parameters.WriteWeight(weight, linear.Weight);
            if (linear.TrainedBias is { } bias) Parameters.Write(bias, linear.Bias!);
        }
        foreach (var norm in Norms)
        {
            if (norm.Trained is { } trained) Parameters.Write(trained, norm.Weight);
            if (norm.TrainedBias is { } bias) Parameters.Write(bias, norm.Bias!);
        }
    }

    /// <summary>Lets the engine's buffers go; the next use makes them anew.</summary>
    public void ReleaseBuffers()
    {
        _engine?.Dispose();
        _engine = null;
    }

    /// <summary>Settles the compute type; an engine in use is released.</summary>
    /// <param name="kind">Type of the frozen products.</param>
    public void ComputeIn(ComputeKind kind)
    {
        ReleaseBuffers();
        Options = Options with { Compute = kind };
    }

    /// <summary>Adds the gradient of <paramref name="lossScale"/> x sum over tokens of weight x token loss to the parameter buffer.</summary>
    /// <param name="batch">T tokens.</param>
    /// <param name="lossScale">Multiplier of the gradient (1 / trained tokens of the whole step); the returned sum is not scaled.</param>
    /// <param name="key">Where the run stands, for dropout; needed where an adapter has dropout.</param>
    public LossResult ForwardBackward(TokenBatch batch, double lossScale, StepKey? key = null)
    {
        if (key is null && (Linears.Any(linear => linear.Adapter is { Dropout: > 0 }) || Experts.Any(experts => experts.OwnAdapters.Any(adapter => adapter.Dropout > 0)))) throw new ArgumentNullException(nameof(key), "an adapter has dropout");
        return Engine.ForwardBackward(batch, lossScale, key);
    }

    /// <summary>Unweighted loss of each token (nats), length T, 0 where the target is ignored. No dropout.</summary>
    /// <param name="batch">T tokens.</param>
    public float[] TokenLosses(TokenBatch batch) => Engine.TokenLosses(batch);

    /// <summary>Logits [T, vocabulary], float32. The caller disposes it.</summary>
    /// <param name="batch">T tokens.</param>
    public torch.Tensor Logits(TokenBatch batch) => Engine.Logits(batch);

    /// <summary>Gives the pages of the mapped base back.</summary>
    internal void DropPages() => _files.DropPages();

    /// <summary>The file of an address in the mapping, and the offset in it.</summary>
    internal (string Path, long Offset) Locate(IntPtr address) => _files.Locate(address);

    /// <inheritdoc/>
    public void Dispose()
    {
        _engine?.Dispose();
        Parameters.Dispose();
        foreach (var linear in Linears.Append(Head))
        {
            linear.Weight.Dispose();
            linear.Bias?.Dispose();
        }
        Embedding.Weight.Dispose();
        foreach (var table in Ends.Tables.Values) table.Dispose();
        foreach (var norm in Norms)
        {
            norm.Weight.Dispose();
            norm.Bias?.Dispose();
        }
        foreach (var parameter in Layers.SelectMany(layer => layer.Parameters)) parameter.Value.Dispose();
        foreach (var expert in Experts.SelectMany(module => module.Experts))
        {
            expert.GateUp.Dispose();
            expert.GateUpBias?.Dispose();
            expert.Down.Dispose();
            expert.DownBias?.Dispose();
        }
        _files.Dispose();
    }
}
