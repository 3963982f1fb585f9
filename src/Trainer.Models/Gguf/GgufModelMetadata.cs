using Trainer.Checkpoints;

namespace Trainer.Models;

/// <summary>config.json as GGUF metadata.</summary>
internal static class GgufModelMetadata
{
    public static List<KeyValuePair<string, GgufValue>> Of(ModelConfig config, string folder, GgufModelOptions options, List<string> notes)
    {
        var architecture = config.ModelType switch
        {
            "llama" or "mistral" => "llama",
            "qwen2" or "qwen3" => config.ModelType,
            _ => throw new ModelException($"model '{folder}' is of family '{config.ModelType}', which is not written as GGUF here; llama, mistral, qwen2 and qwen3 are, others convert with llama.cpp"),
        };
        var rope = Rope(config, folder);
        var metadata = new List<KeyValuePair<string, GgufValue>>();
        void Add(string key, GgufValue value) => metadata.Add(KeyValuePair.Create(key, value));
        void Own(string key, GgufValue value) => Add($"{architecture}.{key}", value);
        Add("general.architecture", GgufValue.Of(architecture));
        Add("general.type", GgufValue.Of("model"));
        Add("general.name", GgufValue.Of(options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))));
        Own("context_length", GgufValue.Of((uint)config.MaxPositions));
        Own("embedding_length", GgufValue.Of((uint)config.HiddenSize));
        Own("block_count", GgufValue.Of((uint)config.LayerCount));
        Own("feed_forward_length", GgufValue.Of((uint)config.IntermediateSize));
        Own("attention.head_count", GgufValue.Of((uint)config.Heads));
        Own("attention.head_count_kv", GgufValue.Of((uint)config.KvHeads));
        Own("attention.layer_norm_rms_epsilon", GgufValue.Of((float)config.NormEpsilon));
        Own("rope.freq_base", GgufValue.Of((float)rope.Theta));
        if (config.HeadSize * config.Heads != config.HiddenSize || architecture == "qwen3")
        {
            Own("attention.key_length", GgufValue.Of((uint)config.HeadSize));
            Own("attention.value_length", GgufValue.Of((uint)config.HeadSize));
        }
        if (architecture == "llama") Own("rope.dimension_count", GgufValue.Of((uint)config.HeadSize));
        if (rope.Kind is RopeKind.Linear or RopeKind.Yarn)
        {
            Own("rope.scaling.type", GgufValue.Of(rope.Kind == RopeKind.Linear ? "linear" : "yarn"));
            Own("rope.scaling.factor", GgufValue.Of((float)rope.Factor!.Value));
            if (rope.Kind == RopeKind.Yarn) Own("rope.scaling.original_context_length", GgufValue.Of((uint)rope.OriginalMaxPositions));
        }
        Own("vocab_size", GgufValue.Of((uint)config.VocabularySize));
        Add("general.file_type", GgufValue.Of(options.Type switch { GgufTensorType.F32 => 0u, GgufTensorType.F16 => 1u, GgufTensorType.Q8_0 => 7u, _ => 32u }));
        if (options.Type == GgufTensorType.Q8_0) Add("general.quantization_version", GgufValue.Of(2u));
        metadata.AddRange(GgufVocabulary.Read(folder, config.VocabularySize));
        if (config.Layers.Select(layer => layer.SlidingWindow).FirstOrDefault(window => window is not null) is { } window)
            notes.Add($"the model attends to {window} tokens back, llama.cpp to all of them: texts longer than that come out otherwise");
        return metadata;
    }

    /// <summary>Divisors of the rotary frequencies for llama3 scaling, one for each pair, as llama.cpp's converter computes them; null for other kinds.</summary>
    public static float[]? RopeFactors(ModelConfig config)
    {
        var rope = config.Ropes[0];
        if (rope.Kind != RopeKind.Llama3) return null;
        var (factor, original) = (rope.Factor!.Value, (double)rope.OriginalMaxPositions);
        double longest = original / rope.LowFrequencyFactor, shortest = original / rope.HighFrequencyFactor;
        return [.. Enumerable.Range(0, config.HeadSize / 2).Select(pair =>
        {
            var wave = 2 * Math.PI * Math.Pow(rope.Theta, 2.0 * pair / config.HeadSize);
            if (wave < shortest) return 1f;
            if (wave > longest) return (float)factor;
            var smooth = (original / wave - rope.LowFrequencyFactor) / (rope.HighFrequencyFactor - rope.LowFrequencyFactor);
            return (float)(1 / ((1 - smooth) / factor + smooth));
        })];
    }

    private static RopeConfig Rope(ModelConfig config, string folder)
    {
        if (config.Ropes is not [var rope]) throw new ModelException($"model '{folder}' has several rotary embeddings, which are not written as GGUF here");
        if (rope.Kind is not (RopeKind.Default or RopeKind.Linear or RopeKind.Llama3 or RopeKind.Yarn) || rope.AttentionFactor is not null || rope.Mscale is not null)
            throw new ModelException($"model '{folder}' scales its rotary embedding as '{rope.Kind}', which is not written as GGUF here; convert it with llama.cpp");
        return rope;
    }
}
