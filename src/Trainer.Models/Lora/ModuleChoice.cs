namespace Trainer.Models.Lora;

/// <summary>Which modules an adapter's shape means, by PEFT's rules for names.</summary>
internal static class ModuleChoice
{
    /// <summary>
    /// The names in modules_to_save that train a module whole: PEFT compares the end of every module's path, so that a name may be a
    /// whole block (<c>mlp</c>, <c>self_attn</c>) and then means everything in it.
    /// </summary>
    public static IEnumerable<string> SavedBy(LoraSpec spec, string path)
        => spec.ModulesToSave.Where(name => Within(path).Any(module => module.EndsWith(name, StringComparison.Ordinal)));

    /// <summary>Whether exclude_modules leaves a module out.</summary>
    public static bool IsExcluded(LoraSpec spec, string path) => spec.Exclude?.MatchesPath(path) ?? false;

    // The module and the blocks it lies in: model.layers.0.mlp.up_proj, model.layers.0.mlp, model.layers.0, ...
    private static IEnumerable<string> Within(string path)
    {
        for (var end = path.Length; end > 0; end = path.LastIndexOf('.', end - 1)) yield return path[..end];
    }
}
