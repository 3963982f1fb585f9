using Trainer.Models.Lora;
using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>
/// What is trained of a decoder, known before any weight is read: injection applies it and the plan adds it up.
/// Tensors lie in the order of the flat parameter buffer: embedding, linears, head, norms.
/// </summary>
public sealed class AdapterBlueprint
{
    private readonly Dictionary<string, TrainedModule> _byPath;

    private AdapterBlueprint(DecoderBlueprint decoder, IReadOnlyList<TrainedModule> modules)
    {
        (Decoder, Modules) = (decoder, modules);
        _byPath = modules.ToDictionary(trained => trained.Module.Path, StringComparer.Ordinal);
        Tensors = [.. modules.SelectMany(trained => trained.Tensors).DistinctBy(tensor => tensor.Name)];
    }

    /// <summary>The base.</summary>
    public DecoderBlueprint Decoder { get; }

    /// <summary>Modules of which something is trained.</summary>
    public IReadOnlyList<TrainedModule> Modules { get; }

    /// <summary>Trained tensors in the order of the parameter buffer.</summary>
    public IReadOnlyList<(string Name, long[] Shape)> Tensors { get; }

    /// <summary>Trained parameters.</summary>
    public long ParameterCount => Tensors.Sum(tensor => Product(tensor.Shape));

    /// <summary>The lowest layer of which something is trained: -1 where the embedding is, or what lies beside the layers, the number of layers where only what
    /// follows them is.</summary>
    public int LowestLayer => Find(Decoder.Embedding) is not null || Decoder.Ends.Any(module => Find(module) is not null)
        ? -1
        : Modules.Where(trained => trained.Module.Layer >= 0).Select(trained => trained.Module.Layer).DefaultIfEmpty(Decoder.Config.LayerCount).Min();

    /// <summary>Nothing is trained.</summary>
    /// <param name="decoder">The base.</param>
    public static AdapterBlueprint None(DecoderBlueprint decoder) => new(decoder, []);

    /// <summary>Every weight is trained, under its own name; a tied head with the embedding's.</summary>
    /// <param name="decoder">The base.</param>
    public static AdapterBlueprint Whole(DecoderBlueprint decoder)
    {
        ArgumentNullException.ThrowIfNull(decoder);
        return new(decoder, [.. InOrder(decoder).Where(module => module.Kind != ModuleKind.Experts).Select(module => new TrainedModule(module)
        {
            Weight = module == decoder.Head && decoder.Config.TiedEmbeddings ? decoder.Embedding.WeightName : module.WeightName,
            Bias = module.HasBias ? module.BiasName : null,
        })]);
    }

    /// <summary>The adapter that options ask for: names that match nothing are refused.</summary>
    /// <param name="decoder">The base.</param>
    /// <param name="spec">The adapter's shape.</param>
    /// <exception cref="AdapterOptionException">Nothing matches, a rank is below 1, or names match nothing.</exception>
    public static AdapterBlueprint Fresh(DecoderBlueprint decoder, LoraSpec spec)
    {
        ArgumentNullException.ThrowIfNull(decoder);
        ArgumentNullException.ThrowIfNull(spec);
        AdapterRules.RequireNamed(decoder, spec);
        return Of(decoder, spec);
    }

    /// <summary>The adapter of a shape, as PEFT would make it.</summary>
    /// <param name="decoder">The base.</param>
    /// <param name="spec">The adapter's shape.</param>
    /// <exception cref="AdapterOptionException">Nothing matches, or a rank is below 1.</exception>
    public static AdapterBlueprint Of(DecoderBlueprint decoder, LoraSpec spec)
    {
        ArgumentNullException.ThrowIfNull(decoder);
        var rules = new AdapterRules(decoder, spec);
        List<TrainedModule> modules = [.. InOrder(decoder).Select(rules.Apply).OfType<TrainedModule>()];
        rules.RequireAllUsed(modules);
        return new(decoder, modules);
    }

    /// <summary>The names in modules_to_save that mean a module of the model: PEFT passes over the others and writes no tensors for them.</summary>
    /// <param name="decoder">The base.</param>
    /// <param name="spec">The adapter's shape.</param>
    public static IReadOnlyList<string> SavedNames(DecoderBlueprint decoder, LoraSpec spec)
    {
        ArgumentNullException.ThrowIfNull(decoder);
        ArgumentNullException.ThrowIfNull(spec);
        return [.. spec.ModulesToSave.Where(name => decoder.Modules.Any(module => ModuleChoice.SavedBy(spec, module.Path).Contains(name)))];
    }

    /// <summary>What is trained of a module, or null.</summary>
    /// <param name="module">A module of the base.</param>
    public TrainedModule? Find(ModuleBlueprint module) => _byPath.GetValueOrDefault(module.Path);

    // Norms behind all linears: the order of the buffer, which checkpoints and the sum of the gradient's norm keep.
    private static IEnumerable<ModuleBlueprint> InOrder(DecoderBlueprint decoder)
        => [decoder.Embedding, .. decoder.Linears, .. decoder.Modules.Where(module => module.Kind == ModuleKind.Experts), decoder.Head, .. decoder.Norms];

    private static long Product(long[] shape) => shape.Aggregate(1L, (product, side) => product * side);
}
