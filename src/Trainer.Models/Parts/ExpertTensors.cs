namespace Trainer.Models.Parts;

/// <summary>Names and shapes of experts' tensors: all experts in one, or each expert's own. A folder has either.</summary>
public static class ExpertTensors
{
    /// <summary>Of all experts together.</summary>
    /// <param name="module">Experts.</param>
    public static IEnumerable<(string Name, long[] Shape)> Fused(ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(module);
        var block = module.Experts!;
        long experts = block.Experts, wide = block.Width, hidden = module.ExpertColumns;
        yield return ($"{module.StoredPath}.{block.Names.AllGateUp}", block.IsTransposed ? [experts, hidden, 2 * wide] : [experts, 2 * wide, hidden]);
        if (block.IsClamped) yield return ($"{module.StoredPath}.{block.Names.AllGateUp}_bias", [experts, 2 * wide]);
        yield return ($"{module.StoredPath}.{block.Names.AllDown}", block.IsTransposed ? [experts, wide, hidden] : [experts, hidden, wide]);
        if (block.IsClamped) yield return ($"{module.StoredPath}.{block.Names.AllDown}_bias", [experts, hidden]);
    }

    /// <summary>Rows and columns of the matrices of one expert as they are quantized: gate, up and down apart.</summary>
    /// <param name="module">Experts.</param>
    public static IEnumerable<(long Rows, long Columns)> Held(ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(module);
        long wide = module.Experts!.Width, hidden = module.ExpertColumns;
        return [(wide, hidden), (wide, hidden), (hidden, wide)];
    }

    /// <summary>Of every expert; none of other modules.</summary>
    /// <param name="module">A module.</param>
    public static IEnumerable<(string Name, long[] Shape)> OfEach(ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return Enumerable.Range(0, module.Experts?.Experts ?? 0).SelectMany(expert => Own(module, expert));
    }

    /// <summary>Of one expert: gate, up, down.</summary>
    /// <param name="module">Experts.</param>
    /// <param name="expert">Zero-based.</param>
    public static (string Name, long[] Shape)[] Own(ModuleBlueprint module, int expert)
    {
        ArgumentNullException.ThrowIfNull(module);
        var (block, path) = (module.Experts!, $"{module.StoredPath}.{expert}");
        long wide = block.Width, hidden = module.ExpertColumns;
        return [($"{path}.{block.Names.Gate}.weight", [wide, hidden]), ($"{path}.{block.Names.Up}.weight", [wide, hidden]),
            ($"{path}.{block.Names.Down}.weight", [hidden, wide])];
    }
}
