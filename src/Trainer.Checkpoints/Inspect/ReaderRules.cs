using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Inspect;

/// <summary>
/// What other programs accept, from their published rules: vLLM's peft_helper.py, llama.cpp's convert_lora_to_gguf.py and loader, PEFT itself.
/// A reader that would load an adapter and compute something else counts as one that does not load it.
/// </summary>
public static class ReaderRules
{
    private const string Prefix = "base_model.model.";

    private const int VllmDefaultRank = 16, VllmLargestRank = 512;

    private static readonly string[] LlamaCppFamilies = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "gemma3", "gemma3_text", "granite",
        "smollm3", "olmo2", "mixtral", "ministral3", "qwen2_moe", "qwen3_moe", "olmoe", "gemma4_text", "gpt_oss", "qwen3_5_text", "qwen3_5_moe_text",
        "glm4", "ernie4_5", "cohere", "cohere2", "exaone4", "starcoder2", "stablelm", "nemotron", "arcee", "phi", "olmo3", "hunyuan_v1_dense", "seed_oss",
        "glm4_moe", "lfm2", "qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text", "qwen3_vl_moe_text", "qwen3_next", "deepseek_v3", "glm4_moe_lite",
        "apertus", "falcon_h1", "granitemoe", "granitemoehybrid", "nemotron_h", "llama4_text", "lfm2_moe", "gemma3n_text"];

    /// <summary>Judges an adapter folder.</summary>
    /// <param name="folder">The folder with adapter_config.json and adapter_model.safetensors.</param>
    /// <param name="modelType">The base's model_type, or null where it is not known.</param>
    /// <param name="isTied">Whether the base's head shares the embedding's weight, or null where it is not known.</param>
    public static IReadOnlyList<ReaderVerdict> Judge(string folder, string? modelType, bool? isTied)
    {
        var config = AdapterConfig.Read(folder);
        using var file = SafetensorsFile.Open(Path.Combine(folder, "adapter_model.safetensors"));
        return Judge(config, [.. file.Entries.Select(static entry => new TensorDeclaration(entry.Name, entry.Dtype, entry.Shape))], modelType, isTied);
    }

    /// <summary>Judges an adapter by its config and tensors.</summary>
    public static IReadOnlyList<ReaderVerdict> Judge(AdapterConfig config, IReadOnlyList<TensorDeclaration> tensors, string? modelType, bool? isTied)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tensors);
        return [Peft(config, tensors, modelType), Vllm(config, tensors), LlamaCpp(config, tensors, modelType, isTied)];
    }

    /// <summary>The one alpha over rank that all modules share when each is scaled by its own (alpha / r, or alpha / sqrt r), times that rank; null where they
    /// differ.</summary>
    /// <remarks>llama.cpp scales every tensor pair by one file-wide alpha over the pair's rank.</remarks>
    public static double? CommonAlpha(AdapterConfig config, IReadOnlyList<TensorDeclaration> tensors)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tensors);
        double? common = null;
        foreach (var tensor in tensors.Where(static tensor => tensor.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal)
            || tensor.Name.EndsWith(".lora_embedding_A", StringComparison.Ordinal)))
        {
            var module = Module(tensor.Name);
            double rank = tensor.Shape[0], alpha = config.AlphaOf(module) * (config.UseRslora ? Math.Sqrt(rank) : 1);
            if (common is double before && Math.Abs(before - alpha) > 1e-9 * Math.Abs(before)) return null;
            common ??= alpha;
        }
        return common;
    }

    /// <summary>Whether a tensor is the frozen weight of an adapted embedding or head, which PEFT writes beside the adapter and readers pass over.</summary>
    /// <param name="name">Name in the adapter's file.</param>
    public static bool IsFrozenCopy(string name) => name is $"{Prefix}lm_head.base_layer.weight" or $"{Prefix}model.embed_tokens.base_layer.weight";

    /// <summary>Whether PEFT refuses an adapter on a module: the output of a state-space mixer in the families that it lists.</summary>
    /// <param name="modelType">model_type of the base.</param>
    /// <param name="module">Path of the module.</param>
    public static bool PeftRefuses(string modelType, string module)
        => modelType is "falcon_h1" or "nemotron_h" && (module == "out_proj" || module.EndsWith(".out_proj", StringComparison.Ordinal));

    private static bool IsPair(string name) =>
        name.EndsWith(".lora_A.weight", StringComparison.Ordinal) || name.EndsWith(".lora_B.weight", StringComparison.Ordinal)
        || name.EndsWith(".lora_embedding_A", StringComparison.Ordinal) || name.EndsWith(".lora_embedding_B", StringComparison.Ordinal);

    private static string Module(string tensor)
    {
        var path = tensor.StartsWith(Prefix, StringComparison.Ordinal) ? tensor[Prefix.Length..] : tensor;
        var at = path.IndexOf(".lora_", StringComparison.Ordinal);
        return at < 0 ? path[..Math.Max(0, path.LastIndexOf('.'))] : path[..at];
    }

    private static ReaderVerdict Peft(AdapterConfig config, IReadOnlyList<TensorDeclaration> tensors, string? modelType)
    {
        var reasons = new List<string>();
        if (modelType is not null
            && tensors.Select(static tensor => Module(tensor.Name)).FirstOrDefault(module => PeftRefuses(modelType, module)) is { } refused)
        {
            reasons.Add($"it takes no adapter on '{refused}' in a model of this family, whose fast path goes around the module");
        }
        if (config.Targets.Count == 0) reasons.Add("adapter_config.json has no target_modules");
        if (tensors.FirstOrDefault(static tensor => !tensor.Name.StartsWith(Prefix, StringComparison.Ordinal)) is { } foreign)
            reasons.Add($"tensor '{foreign.Name}' does not begin with '{Prefix}'");
        var note = config.Bias == "lora_only"
            ? "PEFT 0.20 trains these biases but neither writes nor reads them" : config.LoraBias ? "lora_bias needs PEFT 0.14 or newer"
            : tensors.Any(static tensor => tensor.Name.Contains(".token_adapter.", StringComparison.Ordinal))
            ? "trainable_token_indices needs PEFT 0.15 or newer" : null;
        return new ReaderVerdict("PEFT", reasons.Count == 0, reasons, note);
    }

    private static ReaderVerdict Vllm(AdapterConfig config, IReadOnlyList<TensorDeclaration> tensors)
    {
        var reasons = new List<string>();
        var rank = (int)tensors.Where(static tensor => tensor.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal))
            .Select(static tensor => tensor.Shape[0]).DefaultIfEmpty(config.Rank).Max();
        if (config.Rank < 1 || config.Alpha == 0 || config.Targets.Count == 0)
            reasons.Add("it needs r, lora_alpha and target_modules in adapter_config.json");
        if (config.ModulesToSave.Count > 0)
            reasons.Add($"it refuses modules_to_save ({string.Join(", ", config.ModulesToSave)})");
        if (config.UseDora) reasons.Add("it refuses DoRA");
        if (config.Bias != "none" || config.LoraBias) reasons.Add("it takes no trained biases");
        if (config.RankPattern.Count > 0 || config.AlphaPattern.Count > 0)
            reasons.Add("it does not read rank_pattern and alpha_pattern and would scale those modules wrongly");
        if (tensors.FirstOrDefault(static tensor => tensor.Name.Contains("lora_embedding_", StringComparison.Ordinal)) is { } embedding)
            reasons.Add($"it takes no adapter on embeddings ('{Module(embedding.Name)}')");
        if (tensors.Any(static tensor => tensor.Name.Contains(".token_adapter.", StringComparison.Ordinal)))
            reasons.Add("it takes no trained rows of tokens; merge instead");
        if (config.BaseChange is { } change) reasons.Add(Changed(change));
        if (rank > VllmLargestRank) reasons.Add($"rank {rank} is above its largest, {VllmLargestRank}");
        return new ReaderVerdict("vLLM", reasons.Count == 0, reasons,
            rank > VllmDefaultRank && reasons.Count == 0 ? $"start it with --max-lora-rank {Step(rank)}" : null);
    }

    private static string Changed(string init)
        => $"it adds A and B to the base as it is, and those of init_lora_weights '{init}' fit a base without their beginning; merge instead";

    private static int Step(int rank) => new[] { 32, 64, 128, 256, 320, VllmLargestRank }.First(step => step >= rank);

    private static ReaderVerdict LlamaCpp(AdapterConfig config, IReadOnlyList<TensorDeclaration> tensors, string? modelType, bool? isTied)
    {
        var reasons = new List<string>();
        if (modelType is not null && !LlamaCppFamilies.Contains(modelType))
            reasons.Add($"the export knows no mapping for model_type '{modelType}'");
        if (config.UseDora) reasons.Add("it has no DoRA");
        if (config.ModulesToSave.Count > 0)
            reasons.Add($"it takes no whole modules ({string.Join(", ", config.ModulesToSave)}); merge instead");
        var other = tensors.Select(static tensor => tensor.Name).FirstOrDefault(static name => !IsPair(name) && !IsFrozenCopy(name));
        if (other is not null && !config.UseDora && config.ModulesToSave.Count == 0)
            reasons.Add($"it takes nothing but A and B, and the adapter holds '{other}'");
        if (isTied == true && tensors.Any(static tensor => Module(tensor.Name) == "lm_head"))
            reasons.Add("it has no head of its own to adapt in a model with tied embeddings");
        if (isTied == true && tensors.Any(static tensor => tensor.Name.Contains(".lora_embedding_", StringComparison.Ordinal)))
            reasons.Add("it would adapt the head with the embedding in a model where they are tied");
        if (config.BaseChange is { } change) reasons.Add(Changed(change));
        if (CommonAlpha(config, tensors) is null)
            reasons.Add("its file has one alpha, and the modules of this adapter have several");
        var note = reasons.Count > 0 ? null : config.UseRslora
            ? "through `trainer export --format gguf`; its own converter leaves out the square root of rsLoRA" : "through `trainer export --format gguf`";
        return new ReaderVerdict("llama.cpp", reasons.Count == 0, reasons, note);
    }
}
