using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Reads config.json and hands it to the family that its model_type names.</summary>
public static class ConfigLoader
{
    // What a key of another family would do to the computation; a config that sets one is not the model its model_type says.
    private static readonly string[] Foreign =
    [
        "clip_qkv", "qk_layernorm", "use_qk_norm", "logit_scale", "attn_temperature_tuning", "alibi", "parallel_attn", "layer_replication",
        "use_bidirectional_attention", "mrope_section",
    ];

    /// <summary>Reads quantization_config of a folder's config.json; null where there is none.</summary>
    /// <param name="folder">A model folder.</param>
    /// <exception cref="ModelException">The file is missing or broken, or the method, format or bits are not read; it is named.</exception>
    public static StoredQuantization? LoadQuantization(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path)) return null;
        using var document = Parse(path);
        return QuantizationReader.Read(new ConfigReader(document.RootElement, path));
    }

    /// <summary>Reads a model folder's config.json (transformers 4 or 5 layout) and generation_config.json.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelException">Missing or broken file, missing key, or something that is not implemented, by name.</exception>
    public static ModelConfig Load(string folder)
    {
        if (!Directory.Exists(folder)) throw new ModelException($"model folder '{folder}': there is no such folder; check the path");
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path)) throw new ModelException($"no config.json in '{folder}'; a model folder needs config.json beside its safetensors files");
        using var document = Parse(path);
        var reader = new ConfigReader(document.RootElement, path);
        var type = reader.Text("model_type") ?? throw reader.Missing("model_type");
        if (reader.Object("quantization") is not null)
            throw new ModelException($"config '{reader.Path}': the folder is quantized for MLX, which cannot be trained here; take the original model and let "
                + "--quantize nf4 do it");
        var text = WrapperTable.Wrappers.TryGetValue(type, out var wrapper) ? wrapper.TextOf(reader) : reader;
        var config = wrapper is null ? Describe(reader, type)
            : wrapper.Around(Describe(text, text.Text("model_type") is { } own && own != type ? own : wrapper.TextType), type, reader);
        var eos = new List<int>((reader.Has("eos_token_id") ? reader : text).Ids("eos_token_id"));
        var generation = Path.Combine(folder, "generation_config.json");
        if (File.Exists(generation))
        {
            using var more = Parse(generation);
            eos.AddRange(new ConfigReader(more.RootElement, generation).Ids("eos_token_id"));
        }
        return config with
        {
            BosId = reader.IntOrNull("bos_token_id") ?? text.IntOrNull("bos_token_id"),
            EosIds = [.. eos.Distinct()],
            StoredType = reader.Text("dtype") ?? reader.Text("torch_dtype") ?? text.Text("dtype") ?? text.Text("torch_dtype"),
            StoredQuantization = QuantizationReader.Read(reader),
        };
    }

    private static ModelConfig Describe(ConfigReader reader, string type)
    {
        if (!FamilyTable.Families.TryGetValue(type, out var family)) throw Unknown(reader, type);
        var config = family(reader, type);
        RefuseForeign(reader, type);
        return config;
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            var document = PythonJson.Parse(SmallFile.Bytes(path));
            ReadTexts(document.RootElement);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document : throw new ModelException($"config '{path}' is not a JSON object; copy or download it again");
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw new ModelException($"config '{path}' cannot be read: {fault.Message.TrimEnd('.')}; copy or download it again", fault);
        }
    }

    // A string that is not valid Unicode throws when it is read, so all are read once, where the file can still be named.
    private static void ReadTexts(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.String) _ = element.GetString();
        if (element.ValueKind == JsonValueKind.Array) foreach (var item in element.EnumerateArray()) ReadTexts(item);
        if (element.ValueKind != JsonValueKind.Object) return;
        foreach (var property in element.EnumerateObject())
        {
            _ = property.Name;
            ReadTexts(property.Value);
        }
    }

    // Keys that the family did not ask for and that change the computation of those that do.
    private static void RefuseForeign(ConfigReader reader, string type)
    {
        foreach (var key in new[] { "num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size" })
        {
            if (!reader.WasRead(key) && reader.Has(key) && reader.Int(key) > 0)
                throw new ModelException($"config '{reader.Path}': model_type '{type}' is a mixture of experts ('{key}'), which this family is not; take the "
                    + "model's own config.json");
        }
        foreach (var key in new[] { "vision_config", "audio_config", "text_config" })
        {
            if (!reader.WasRead(key) && reader.Has(key))
                throw new ModelException($"config '{reader.Path}': model_type '{type}' is multimodal ('{key}'), which is not implemented; choose one "
                    + $"of {string.Join(", ", WrapperTable.Wrappers.Keys.Order(StringComparer.Ordinal))}, or the text-only model");
        }
        foreach (var key in Foreign)
            if (!reader.WasRead(key)) reader.Refuse(key, "\"causal\"");
    }

    private static ModelException Unknown(ConfigReader reader, string type)
    {
        var known = FamilyTable.Families.Keys.Concat(WrapperTable.Wrappers.Keys).Distinct().Order(StringComparer.Ordinal).ToList();
        var nearest = known.MinBy(name => NameDistance.Between(type, name))!;
        return new ModelException($"config '{reader.Path}': model_type '{type}' is not implemented (the nearest that is: '{nearest}'); choose a model of one "
            + $"of {string.Join(", ", known)}");
    }
}
