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
        long experts = block.Experts, wide = block.Width, inner = block.InnerRows, hidden = module.ExpertColumns;
        yield return ($"{module.StoredPath}.{block.Names.AllGateUp}", block.IsTransposed ? [experts, hidden, inner] : [experts, inner, hidden]);
        if (block.IsClamped) yield return ($"{module.StoredPath}.{block.Names.AllGateUp}_bias", [experts, inner]);
        yield return ($"{module.StoredPath}.{block.Names.AllDown}", block.IsTransposed ? [experts, wide, hidden] : [experts, hidden, wide]);
        if (block.IsClamped) yield return ($"{module.StoredPath}.{block.Names.AllDown}_bias", [experts, hidden]);
    }

    /// <summary>Of every expert; none of other modules.</summary>
    /// <param name="module">A module.</param>
    public static IEnumerable<(string Name, long[] Shape)> OfEach(ModuleBlueprint module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return Enumerable.Range(0, module.Experts?.Experts ?? 0).SelectMany(expert => Own(module, expert))
            .Select(tensor => (tensor.Name, tensor.Shape));
    }

    /// <summary>Of one expert: gate where there is one, up, down.</summary>
    /// <param name="module">Experts.</param>
    /// <param name="expert">Zero-based.</param>
    public static IReadOnlyList<(string Name, long[] Shape, ExpertPart Part)> Own(ModuleBlueprint module, int expert)
    {
        ArgumentNullException.ThrowIfNull(module);
        var (block, path) = (module.Experts!, $"{module.StoredPath}.{expert}");
        long wide = block.Width, hidden = module.ExpertColumns;
        (string, long[], ExpertPart) Of(string name, ExpertPart part)
            => ($"{path}.{name}.weight", part == ExpertPart.Down ? [hidden, wide] : [wide, hidden], part);
        var (up, down) = (Of(block.Names.Up, ExpertPart.Up), Of(block.Names.Down, ExpertPart.Down));
        return block.IsGated ? [Of(block.Names.Gate, ExpertPart.Gate), up, down] : [up, down];
    }
}
