using Trainer.Models.Parts;

namespace Trainer.Models.Drawing;

/// <summary>How much of one kind of module is trained.</summary>
/// <param name="Kind">The kind, in words: attention, experts, shared experts, feed-forward, ...</param>
/// <param name="Trained">Trained parameters on modules of the kind; tensors that two modules share count once.</param>
/// <param name="Total">Parameters of the base in modules of the kind.</param>
public sealed record TrainedShare(string Kind, long Trained, long Total)
{
    /// <summary>The shares of an adapter, in the order in which a token meets the kinds; kinds that the model lacks are left out.</summary>
    /// <param name="adapter">What is trained.</param>
    public static IReadOnlyList<TrainedShare> Of(AdapterBlueprint adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        var decoder = adapter.Decoder;
        var kinds = Kinds(decoder);
        var counted = new HashSet<string>(StringComparer.Ordinal);
        var trained = adapter.Modules.ToDictionary(module => module.Module.Path,
            module => module.Tensors.Where(tensor => counted.Add(tensor.Name)).Sum(tensor => Product(tensor.Shape)), StringComparer.Ordinal);
        var stored = decoder.Stored.ToHashSet();
        return [.. decoder.Modules.GroupBy(module => kinds[module.Path], StringComparer.Ordinal)
            .Select(group => new TrainedShare(group.Key, group.Sum(module => trained.GetValueOrDefault(module.Path)),
                group.Where(stored.Contains).Sum(module => module.ParameterCount)))
            .Where(share => share.Trained > 0 || share.Total > 0)];
    }

    private static Dictionary<string, string> Kinds(DecoderBlueprint decoder)
    {
        var kinds = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var module in decoder.Modules) kinds[module.Path] = Alone(module);
        for (var l = 0; l < decoder.Config.LayerCount; l++)
        {
            var (layer, path) = (decoder.Config.Layers[l], new LayerPath($"{decoder.Config.TextPath}.layers.{l}", l, decoder.Config.HiddenSize));
            void Name(IEnumerable<ModuleBlueprint> drawn, string kind)
            {
                foreach (var module in drawn.Where(module => module.Kind == ModuleKind.Linear)) kinds[module.Path] = kind;
            }
            Name(layer.Mixer.Draw(path), layer.Mixer is SelfAttention ? "attention" : layer.Mixer.Name);
            if (layer.Mixer is SideBySide both) Name(both.Attention.Draw(path), "attention");
            Name(layer.FeedForward.Draw(path), "feed-forward");
            if (layer.Experts?.Shared is { } shared) Name(shared.Draw(path), "shared experts");
        }
        return kinds;
    }

    private static string Alone(ModuleBlueprint module) => module.Kind switch
    {
        ModuleKind.Embedding => "embeddings",
        ModuleKind.Experts => "experts",
        ModuleKind.Norm => "norms",
        ModuleKind.Parameter => "routers and small tensors",
        _ => module.Role == ModuleRole.Head ? "head" : "other projections",
    };

    private static long Product(long[] shape) => shape.Aggregate(1L, (product, side) => product * side);
}
