using Trainer.Engine.Layers;
using Trainer.Engine.Weights;
using Trainer.Models.Config;
using Trainer.Models.Drawing;

namespace Trainer.Engine;

/// <summary>A decoder's modules with their weights and, once attached, its trainable parameters: what the engines compute with. Owns them.</summary>
public abstract class LoadedDecoder : IDisposable
{
    private readonly WeightFiles _files;

    private protected LoadedDecoder(string folder, ModelConfig config, ModelLoadOptions options, WeightFiles files)
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
    public ModelLoadOptions Options { get; private protected set; }

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

    /// <summary>Lets the buffers of whoever computes go; the next use makes them anew.</summary>
    public abstract void ReleaseBuffers();

    /// <summary>Gives the pages of the mapped base back.</summary>
    internal void DropPages() => _files.DropPages();

    /// <summary>The file of an address in the mapping, and the offset in it.</summary>
    internal (string Path, long Offset) Locate(IntPtr address) => _files.Locate(address);

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        GC.SuppressFinalize(this);
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
