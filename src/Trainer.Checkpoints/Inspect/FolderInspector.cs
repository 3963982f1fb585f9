using System.Text.Json;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;

namespace Trainer.Checkpoints.Inspect;

/// <summary>Says what a file or folder is, from its own files alone.</summary>
public static class FolderInspector
{
    private const string AdapterWeights = "adapter_model.safetensors";

    /// <summary>Looks at a model folder, adapter, checkpoint, run folder, GGUF or safetensors file.</summary>
    /// <exception cref="BadFileException">It is none of them, or damaged; the sentence says which.</exception>
    public static Inspection Inspect(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (File.Exists(path)) return InspectFile(path);
        if (!Directory.Exists(path))
            throw new BadFileException($"'{path}': there is no such file or folder; check the path");
        bool Has(string name) => File.Exists(Path.Combine(path, name));
        if (Has(CheckpointFolder.ManifestFile))
        {
            var checkpoint = CheckpointFolder.Verify(path);
            return Has(AdapterConfig.FileName) ? Adapter(path, "checkpoint") with { Checkpoint = checkpoint }
                : new Inspection(path, "checkpoint", Checkpoint: checkpoint);
        }
        long[] steps = [.. CheckpointFolder.List(path).Select(static one => one.Step)];
        if (Has("run.json") || steps.Length > 0)
            return (Has(AdapterConfig.FileName) && Has(AdapterWeights) ? Adapter(path, "run") : new Inspection(path, "run")) with { Checkpoints = steps };
        if (Has(AdapterConfig.FileName)) return Adapter(path, "adapter");
        if (Has("config.json"))
        {
            using var model = ShardedModel.Open(path);
            return new Inspection(path, "model", Model: Model(path), Tensors: Summarise(model.Files));
        }
        throw new BadFileException($"'{path}' is neither a model (config.json), an adapter ({AdapterConfig.FileName}), a checkpoint "
            + $"({CheckpointFolder.ManifestFile}) nor a run folder (run.json); check the path");
    }

    private static Inspection InspectFile(string path)
    {
        if (path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
        {
            using var file = SafetensorsFile.Open(path);
            return new Inspection(path, "safetensors", Tensors: Summarise([file]));
        }
        Span<byte> start = stackalloc byte[4];
        using (var stream = File.OpenRead(path))
        {
            if (stream.Read(start) < 4 || !start.SequenceEqual("GGUF"u8))
                throw new BadFileException($"'{path}' is neither a GGUF nor a safetensors file; pass a folder, a .gguf or a .safetensors file");
        }
        using var gguf = GgufFile.Open(path);
        return new Inspection(path, "gguf", Gguf: new GgufSummary(gguf.Text("general.type") ?? "model", gguf.Text("general.architecture"),
            gguf.Text("general.name"), Alpha(path, gguf), gguf.Metadata.Count),
            Tensors: new TensorSummary(gguf.Tensors.Count, gguf.Tensors.Sum(static one => one.ByteCount),
            gguf.Tensors.Sum(static one => one.Dimensions.Aggregate(1L, static (product, side) => product * side)),
                ByType(gguf.Tensors.Select(static one => (one.Type.ToString(), one.ByteCount))), [Path.GetFileName(path)]));
    }

    private static Inspection Adapter(string folder, string kind)
    {
        var config = AdapterConfig.Read(folder);
        using var file = SafetensorsFile.Open(Path.Combine(folder, AdapterWeights));
        TensorDeclaration[] tensors = [.. file.Entries.Select(static entry => new TensorDeclaration(entry.Name, entry.Dtype, entry.Shape))];
        var modules = tensors.Where(static tensor => tensor.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal))
            .Select(static tensor => (Path: tensor.Name.Split('.')[..^2], Rank: tensor.Shape[0])).ToList();
        // The base is looked at where it lies on this machine; its family and tied head decide for some readers.
        var model = config.BaseModel is string name && File.Exists(Path.Combine(name, "config.json")) ? Model(name) : null;
        return new Inspection(folder, kind,
            Adapter: new AdapterSummary(config, [.. modules.Select(static one => one.Rank).Distinct().Order()],
            [.. modules.Select(static one => one.Path[^1]).Distinct().Order(StringComparer.Ordinal)],
                modules.Select(static one => one.Path.SkipWhile(static part => part != "layers").ElementAtOrDefault(1)).Where(static layer => layer is not null)
                .Distinct().Count(),
                ReaderRules.Judge(config, tensors, model?.Family, model?.IsTied)),
            Tensors: Summarise([file]));
    }

    /// <summary>What the config.json of a folder says.</summary>
    /// <exception cref="BadFileException">It is missing or not a JSON object.</exception>
    public static ModelSummary Model(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        try
        {
            using var document = PythonJson.Parse(SmallFile.Bytes(path));
            var root = document.RootElement;
            var rope = Text(Part(root, "rope_scaling"), "rope_type")
                ?? Text(Part(root, "rope_scaling"), "type") ?? Text(Part(root, "rope_parameters"), "rope_type");
            return new ModelSummary
            {
                Family = Text(root, "model_type"),
                Architecture = Part(root, "architectures") is { ValueKind: JsonValueKind.Array } all && all.GetArrayLength() > 0 ? all[0].GetString() : null,
                Dtype = Text(root, "dtype") ?? Text(root, "torch_dtype"),
                HiddenSize = Number(root, "hidden_size"),
                IntermediateSize = Number(root, "intermediate_size"),
                Layers = Number(root, "num_hidden_layers"),
                Heads = Number(root, "num_attention_heads"),
                KvHeads = Number(root, "num_key_value_heads") ?? Number(root, "num_attention_heads"),
                VocabularySize = Number(root, "vocab_size"),
                MaxPositions = Number(root, "max_position_embeddings"),
                IsTied = Part(root, "tie_word_embeddings") is { ValueKind: JsonValueKind.True or JsonValueKind.False } tied ? tied.GetBoolean() : null,
                RopeScaling = rope is "default" ? null : rope,
                Quantization = Quantization(root),
                HasTokenizer = TextFolders.HasTokenizer(folder),
                HasChatTemplate = TextFolders.HasTemplate(folder),
            };
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException or FormatException or IOException or UnauthorizedAccessException)
        {
            throw new BadFileException($"config '{path}' cannot be read: {fault.Message.Split('\n')[0].TrimEnd('.')}; copy or download it again", fault);
        }
    }

    private static JsonElement? Part(JsonElement? root, string key) =>
        root is { ValueKind: JsonValueKind.Object } whole && whole.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null
        ? value : null;

    private static string? Text(JsonElement? root, string key) => Part(root, key) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    private static long? Number(JsonElement root, string key)
        => Part(root, key) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number) ? number : null;

    private static bool Flag(JsonElement root, string key) => Part(root, key) is { ValueKind: JsonValueKind.True };

    private static string? Quantization(JsonElement root)
    {
        if (Part(root, "quantization") is not null) return "mlx";
        if (Part(root, "quantization_config") is not JsonElement config) return null;
        var method = Text(config, "quant_method") ?? "bitsandbytes";
        return !Flag(config, "load_in_4bit") ? Flag(config, "load_in_8bit") ? method + " int8" : method
            : $"{method} {Text(config, "bnb_4bit_quant_type") ?? "4-bit"}{(Flag(config, "bnb_4bit_use_double_quant") ? ", double" : "")}";
    }

    /// <summary>Parameters that files hold: a weight in four bits counts by its shape, its scales and tables do not.</summary>
    /// <param name="files">Open files.</param>
    public static long ParameterCount(IReadOnlyList<SafetensorsFile> files) => Summarise(files).Parameters;

    private static TensorSummary Summarise(IReadOnlyList<SafetensorsFile> files)
    {
        List<(SafetensorsFile File, SafetensorsEntry Entry)> all = [.. files.SelectMany(static file => file.Entries.Select(entry => (file, entry)))];
        var quantized = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach ((var file, var entry) in all.Where(static one => one.Entry.Name.EndsWith(Nf4Folder.StateSuffix,
            StringComparison.Ordinal)))
        {
            quantized[entry.Name[..^Nf4Folder.StateSuffix.Length]] = Nf4QuantState.Parse(file.Bytes(entry), entry.Name).Shape.Aggregate(1L,
                static (product, side) => product * side);
        }
        // A scale's name is its weight's with a suffix: X.weight.absmax.
        var parameters = all.Sum(one => quantized.TryGetValue(one.Entry.Name, out var elements) ? elements
            : quantized.Count > 0 && IsScale(one.Entry.Name, quantized) ? 0 : one.Entry.ElementCount);
        return new TensorSummary(all.Count, all.Sum(static one => one.Entry.ByteCount), parameters,
            ByType(all.Select(static one => (one.Entry.Dtype.Name(), one.Entry.ByteCount))), [.. files.Select(static file => Path.GetFileName(file.Path))]);
    }

    private static bool IsScale(string name, Dictionary<string, long> quantized)
    {
        var at = name.IndexOf(".weight.", StringComparison.Ordinal);
        return at >= 0 && quantized.ContainsKey(name[..(at + ".weight".Length)]);
    }

    private static List<(string Type, int Count, long Bytes)> ByType(IEnumerable<(string Type, long Bytes)> tensors) =>
        [.. tensors.GroupBy(static one => one.Type).Select(static group => (group.Key, group.Count(), group.Sum(static one => one.Bytes)))
        .OrderByDescending(static one => one.Item3)];

    private static float? Alpha(string path, GgufFile gguf) => gguf.Find("adapter.lora.alpha")?.Value is not float alpha ? null
        : float.IsFinite(alpha)
        ? alpha : throw new BadFileException($"'{path}' has the adapter.lora.alpha {alpha}, which is no number; export the adapter again");
}
