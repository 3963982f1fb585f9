namespace Trainer.Adapters;

/// <summary>Tells adapters of other tools by the names of their files and tensors, so that a refusal says what the folder is.</summary>
internal static class ForeignAdapters
{
    private const string Prefix = "base_model.model.";

    // The first that fits counts; each names its maker and the way to a folder that PEFT reads.
    private static readonly (Func<string, bool> Fits, string Says)[] Makers =
    [
        (name => name.EndsWith(".lora_a", StringComparison.Ordinal) || name.EndsWith(".lora_b", StringComparison.Ordinal),
            "is a tensor of an mlx-lm adapter, whose matrices are transposed and whose scale is not alpha / rank; fuse it with mlx_lm.fuse and use the fused "
            + "model, or train it again"),
        (name => name.EndsWith(".lora_a.weight", StringComparison.Ordinal) || name.EndsWith(".lora_b.weight", StringComparison.Ordinal),
            "is a tensor of a torchtune adapter in its own names; let torchtune write the PEFT format (save_adapter_weights_only with an HF checkpointer)"),
        (name => name.StartsWith("lora_unet_", StringComparison.Ordinal) || name.StartsWith("lora_te", StringComparison.Ordinal)
            || name.EndsWith(".lora_down.weight", StringComparison.Ordinal) || name.EndsWith(".lora_up.weight", StringComparison.Ordinal),
            "is a tensor of an adapter for image models (kohya); there is no language model to put it on"),
        (name => name.StartsWith("unet.", StringComparison.Ordinal) || name.StartsWith("transformer.", StringComparison.Ordinal)
            || name.StartsWith("text_encoder", StringComparison.Ordinal),
            "is a tensor of a diffusers adapter; there is no language model to put it on"),
        (name => name.Contains("_fsdp_wrapped_module.", StringComparison.Ordinal) || name.Contains("_orig_mod.", StringComparison.Ordinal)
            || name.StartsWith("module.", StringComparison.Ordinal),
            "carries the name of a wrapper (FSDP, torch.compile or DDP); save the unwrapped model with save_pretrained"),
        (name => name.StartsWith(Prefix + Prefix, StringComparison.Ordinal),
            "was saved from a model that PEFT wrapped twice; wrap the base once and save again"),
        (name => name.Contains(".lora_A.default.", StringComparison.Ordinal) || name.Contains(".lora_B.default.", StringComparison.Ordinal)
            || name.Contains(".modules_to_save.default.", StringComparison.Ordinal),
            "carries an adapter's name, as PEFT holds it in memory; save with save_pretrained, which takes the name out"),
        (name => !name.StartsWith(Prefix, StringComparison.Ordinal) && name.Contains(".lora_", StringComparison.Ordinal),
            $"lacks PEFT's '{Prefix}' in front; save with save_pretrained, or put it in front of every name"),
    ];

    /// <summary>Refuses a weights file of another tool.</summary>
    /// <param name="path">The file.</param>
    /// <param name="names">Names of its tensors.</param>
    /// <exception cref="AdapterException">It is one.</exception>
    public static void Refuse(string path, IEnumerable<string> names)
    {
        foreach (var name in names)
            if (Array.Find(Makers, maker => maker.Fits(name)).Says is { } says) throw new AdapterException($"tensor '{name}' of '{path}' {says}");
    }

    /// <summary>What a folder is that has no PEFT adapter in it, in words; null where nothing is recognised.</summary>
    /// <param name="folder">The folder.</param>
    public static string? Of(string folder)
    {
        bool Has(string name) => File.Exists(Path.Combine(folder, name));
        return Has("adapters.safetensors") || Has("adapters.npz")
            ? "this is an mlx-lm adapter (lora_parameters, adapters.safetensors); fuse it with mlx_lm.fuse and use the fused model, or train it again"
            : Has("lit_model.pth.lora") ? "this is a LitGPT adapter (lit_model.pth.lora), a pickle that is never read; merge it with litgpt merge_lora"
            : Has("pytorch_lora_weights.safetensors") ? "this is a diffusers adapter (pytorch_lora_weights.safetensors), made for an image model"
            : Has("adapter_model.bin") ? "its weights are 'adapter_model.bin' alone: a pickle can run code when opened and is never read; convert it once "
                + "with save_pretrained(safe_serialization=True)"
            : Has("config.json") ? "this is a model folder; pass it with --model"
            : null;
    }
}
