using Trainer.Models.Drawing;
using Trainer.Models.Lora;

namespace Trainer.Adapters;

/// <summary>
/// How EVA (arXiv 2410.07170) spreads ranks: all directions of all layers are ordered by the share of their layer's variance that they explain, and the
/// first ones are taken until as many are as the ranks asked for come to. No layer gets more than rho times its rank, one that gets none is left out.
/// </summary>
public static class EvaRanks
{
    /// <summary>The rank of each layer.</summary>
    /// <param name="asked">Rank that was asked for, by layer.</param>
    /// <param name="shares">What each direction explains, strongest first, by layer.</param>
    /// <param name="rho">Most times its rank that a layer may get.</param>
    internal static Dictionary<string, int> Spread(IReadOnlyList<(string Path, int Rank)> asked, Func<string, double[]> shares, double rho)
    {
        var ranks = asked.ToDictionary(layer => layer.Path, _ => 0, StringComparer.Ordinal);
        var all = asked.SelectMany(layer => shares(layer.Path).Take(Most(layer.Rank, rho)).Select(share => (layer.Path, Share: share)));
        // The order is stable: of equal shares the earlier layer's comes first.
        foreach (var (path, _) in all.OrderByDescending(one => one.Share).Take(asked.Sum(layer => layer.Rank))) ranks[path]++;
        return ranks;
    }

    /// <summary>The shape of an adapter with these ranks; its scales stay, so alpha goes with the rank.</summary>
    /// <param name="decoder">The base.</param>
    /// <param name="spec">The shape that was asked for.</param>
    /// <param name="ranks">Rank by module path.</param>
    public static LoraSpec Shape(DecoderBlueprint decoder, LoraSpec spec, IReadOnlyDictionary<string, int> ranks)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentNullException.ThrowIfNull(ranks);
        var layers = Updates(decoder, spec).Where(module => ranks[module.Module.Path] > 0).ToList();
        var alphas =
            layers.Select(module => (module.Module.Path, Alpha: module.Update!.Alpha * Factor(spec, (double)ranks[module.Module.Path] / module.Update.Rank)))
            .ToList();
        return spec with
        {
            Targets = layers.Count == ranks.Count ? spec.Targets : TargetModules.OfNames([.. layers.Select(module => Ending(module.Module.Path))]),
            RankPattern = [.. layers.Where(module => ranks[module.Module.Path] != spec.Rank)
                .Select(module => KeyValuePair.Create(Ending(module.Module.Path), ranks[module.Module.Path]))],
            AlphaPattern = [.. alphas.Where(one => one.Alpha != spec.Alpha).Select(one => KeyValuePair.Create(Ending(one.Path), one.Alpha))],
        };
    }

    /// <summary>The shape that takes the most memory: the widest layers get all they may until nothing is left to give.</summary>
    /// <param name="decoder">The base.</param>
    /// <param name="spec">The shape that was asked for.</param>
    /// <param name="rho">Most times its rank that a layer may get.</param>
    public static LoraSpec Largest(DecoderBlueprint decoder, LoraSpec spec, double rho)
    {
        var layers = Updates(decoder, spec);
        var (ranks, left) = (new Dictionary<string, int>(StringComparer.Ordinal), layers.Sum(module => module.Update!.Rank));
        foreach (var module in layers.OrderByDescending(module => module.Module.Rows + module.Module.Columns))
        {
            ranks[module.Module.Path] = Math.Min(left, Most(module.Update!.Rank, rho));
            left -= ranks[module.Module.Path];
        }
        return Shape(decoder, spec, ranks);
    }

    /// <summary>The layers that an adapter of this shape updates, with the ranks that were asked for.</summary>
    internal static IReadOnlyList<TrainedModule> Updates(DecoderBlueprint decoder, LoraSpec spec)
        => [.. AdapterBlueprint.Fresh(decoder, spec).Modules.Where(module => module.Update is not null)];

    /// <summary>Most directions that a layer may get.</summary>
    internal static int Most(int rank, double rho) => (int)Math.Round(rank * rho, MidpointRounding.ToEven);

    private static double Factor(LoraSpec spec, double ranks) => spec.UseRslora ? Math.Sqrt(ranks) : ranks;

    // The same in each class that holds the layers.
    private static string Ending(string path) => path.IndexOf("layers.", StringComparison.Ordinal) is >= 0 and var at ? path[at..] : path;
}
