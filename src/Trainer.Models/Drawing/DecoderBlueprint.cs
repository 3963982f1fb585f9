using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>
/// What a decoder is, known from its config.json alone: its modules in order. The loader fills it, injection walks it, and names on disk,
/// parameter counts, streaming and the plan come from it.
/// </summary>
public sealed class DecoderBlueprint
{
    private readonly IReadOnlyList<ModuleBlueprint>[] _layers;
    private readonly Lazy<Dictionary<string, ModuleBlueprint>> _owners;

    private DecoderBlueprint(ModelConfig config)
    {
        Config = config;
        Embedding = new($"{config.TextPath}.{config.EmbeddingName}", ModuleKind.Embedding, ModuleRole.Embedding, -1, config.VocabularySize, config.HiddenSize);
        _layers = [.. Enumerable.Range(0, config.LayerCount).Select(layer => LayerBlueprint.Of(config, layer))];
        FinalNorm = new($"{config.TextPath}.{config.FinalNormName}", ModuleKind.Norm, ModuleRole.FinalNorm, -1, config.HiddenSize, 1,
            config.Norm.HasBias) { Norm = config.Norm };
        Head = new("lm_head", ModuleKind.Linear, ModuleRole.Head, -1, config.VocabularySize, config.HiddenSize, config.HeadBias);
        Ends = [.. EndsBlueprint.Of(config)];
        Modules = [Embedding, .. _layers.SelectMany(layer => layer), .. Ends, FinalNorm, Head];
        _owners = new(() => Modules.SelectMany(module => module.Tensors.Concat(ExpertTensors.OfEach(module)).Select(tensor => (tensor.Name, module)))
            .ToDictionary(pair => pair.Name, pair => pair.module, StringComparer.Ordinal));
    }

    /// <summary>What it computes.</summary>
    public ModelConfig Config { get; }

    /// <summary>Every module: embedding, layers, final norm, head. A tied head is among them.</summary>
    public IReadOnlyList<ModuleBlueprint> Modules { get; }

    /// <summary>Modules beside the layers that most families lack.</summary>
    public IReadOnlyList<ModuleBlueprint> Ends { get; }

    /// <summary>The token embedding.</summary>
    public ModuleBlueprint Embedding { get; }

    /// <summary>The norm before the head.</summary>
    public ModuleBlueprint FinalNorm { get; }

    /// <summary>The output head; its weight is the embedding's where they are tied.</summary>
    public ModuleBlueprint Head { get; }

    /// <summary>Linears of the layers, the head not among them: what is quantized, and what all-linear adapts.</summary>
    public IEnumerable<ModuleBlueprint> Linears => Modules.Where(module => module.Kind == ModuleKind.Linear && module.Role != ModuleRole.Head);

    /// <summary>The norms, the final one last.</summary>
    public IEnumerable<ModuleBlueprint> Norms => Modules.Where(module => module.Kind == ModuleKind.Norm);

    /// <summary>Modules with tensors of their own in the model folder: all but a tied head.</summary>
    public IEnumerable<ModuleBlueprint> Stored => Config.TiedEmbeddings ? Modules.SkipLast(1) : Modules;

    /// <summary>Parameters of the base; tied embeddings once.</summary>
    public long ParameterCount => Stored.Sum(module => module.ParameterCount);

    /// <summary>Draws the decoder of a configuration.</summary>
    /// <param name="config">The configuration.</param>
    public static DecoderBlueprint Of(ModelConfig config) => new(config);

    /// <summary>The modules of one layer: linears in the order PEFT visits them, then norms, then what else its parts hold.</summary>
    /// <param name="layer">Zero-based.</param>
    public IReadOnlyList<ModuleBlueprint> Layer(int layer) => _layers[layer];

    /// <summary>The module that a tensor of the model folder belongs to, or null.</summary>
    /// <param name="tensor">Name on disk, in full precision, under any prefix.</param>
    public ModuleBlueprint? OwnerOf(string tensor) => Config.ModuleTensor(tensor) is { } name ? _owners.Value.GetValueOrDefault(name) : null;
}
