using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Rope;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>config.json as GGUF metadata.</summary>
internal static class GgufModelMetadata
{
    private static readonly string[] Phi3Tokens = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

    public static List<KeyValuePair<string, GgufValue>> Of(ModelConfig config, string folder, GgufModelOptions options, List<string> notes)
    {
        var architecture = GgufArchitecture.Of(config)?.Name
            ?? throw new ModelException($"model '{folder}' is of family '{config.ModelType}', which is not written as GGUF here; convert it with llama.cpp");
        if (GgufRefusals.Of(config) is { } refusal) throw new ModelException($"model '{folder}' cannot be exported for llama.cpp: {refusal}");
        var rope = config.Ropes[0];
        var metadata = new List<KeyValuePair<string, GgufValue>>();
        void Add(string key, GgufValue value) => metadata.Add(KeyValuePair.Create(key, value));
        void Own(string key, GgufValue value) => Add($"{architecture}.{key}", value);
        Add("general.architecture", GgufValue.Of(architecture));
        Add("general.type", GgufValue.Of("model"));
        List<KeyValuePair<string, GgufValue>> vocabulary = [.. GgufVocabulary.Read(folder, config.VocabularySize, config.ModelType),
            .. GgufSpecialTokens.Of(folder, config)];
        var name = options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        if (IsSafe(name, vocabulary)) Add("general.name", GgufValue.Of(name));
        Own("context_length", GgufValue.Of((uint)config.MaxPositions));
        Own("embedding_length", GgufValue.Of((uint)config.HiddenSize));
        Own("block_count", GgufValue.Of((uint)config.LayerCount));
        // Where experts follow dense layers, the width is that of these.
        Own("feed_forward_length", config is { FeedForward: not null, Experts: not null }
            ? GgufValue.Of((uint)config.IntermediateSize) : PerLayer(config, layer => Width(layer.FeedForward)));
        var latent = config.Layers[0].Mixer as LatentAttention;
        Own("attention.head_count", GgufValue.Of((uint)(latent?.Heads ?? config.Heads)));
        Own("attention.head_count_kv", PerLayer(config, layer => layer.Mixer is ShortConvolution or Mamba2 or NoMixer
            ? 0 : (layer.Mixer as SelfAttention)?.KvHeads ?? config.KvHeads));
        Own(config.Norm.Kind == NormKind.Layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", GgufValue.Of((float)config.NormEpsilon));
        Own("rope.freq_base", GgufValue.Of((float)rope.Theta));
        var headSize = architecture == "gemma4" ? config.Layers.Max(layer => ((SelfAttention)layer.Mixer).HeadSize) : config.HeadSize;
        if (latent is null && config.Attention is not null && (config.HeadSize * config.Heads != config.HiddenSize
            || architecture is "qwen3" or "qwen3moe" or "gemma" or "gemma2" or "gemma3" or "gemma4" or "gpt-oss" or "qwen35" or "qwen35moe" or "mistral3"
                or "glm4moe" or "qwen3vl" or "qwen3vlmoe" or "qwen3next" or "falcon-h1" or "llama4" or "nemotron_h" or "nemotron_h_moe" or "gemma3n"))
        {
            Own("attention.key_length", GgufValue.Of((uint)headSize));
            Own("attention.value_length", GgufValue.Of((uint)headSize));
        }
        GgufFamilyKeys.Add(config, folder, Own);
        if (rope.Dimensions != config.HeadSize || architecture is "llama" or "granite" or "smollm3" or "phi3" or "mistral3" or "gemma4" or "qwen35"
                or "qwen35moe" or "arcee" or "cohere2" or "granitemoe" or "qwen3next" or "falcon-h1" or "llama4")
            Own("rope.dimension_count", GgufValue.Of((uint)rope.Dimensions));
        if (rope.Kind is RopeKind.Linear or RopeKind.Yarn)
        {
            Own("rope.scaling.type", GgufValue.Of(rope.Kind == RopeKind.Linear ? "linear" : "yarn"));
            Own("rope.scaling.factor", GgufValue.Of((float)(rope.Factor ?? (double)rope.MaxPositions / rope.OriginalMaxPositions)));
            if (rope.Kind == RopeKind.Yarn) Own("rope.scaling.original_context_length", GgufValue.Of((uint)rope.OriginalMaxPositions));
        }
        if (rope.Kind == RopeKind.LongRope)
        {
            Own("rope.scaling.attn_factor", GgufValue.Of((float)RopeTable.LongRopeMultiplier(rope)));
            notes.Add($"LongRoPE changes at {rope.OriginalMaxPositions} tokens: here by the length of the text, in llama.cpp by the context it is started "
                + "with (-c)");
        }
        if (architecture == "phi3")
            Own("rope.scaling.original_context_length", GgufValue.Of((uint)(rope.OriginalMaxPositions > 0 ? rope.OriginalMaxPositions : config.MaxPositions)));
        var window = config.Layers.Select(layer => layer.SlidingWindow).FirstOrDefault(one => one is not null);
        if (architecture is "gemma2" or "gemma3" or "gemma4" or "gpt-oss" or "phi3" or "cohere2" or "gemma3n" || config.ModelType is "olmo3"
            || (architecture == "exaone4" && window is not null))
            Own("attention.sliding_window", GgufValue.Of((uint)(window ?? 0)));
        if (config.AttentionSoftCap is { } attentionCap) Own("attn_logit_softcapping", GgufValue.Of((float)attentionCap));
        if (config.LogitSoftCap is { } logitCap) Own("final_logit_softcapping", GgufValue.Of((float)logitCap));
        if (architecture is "granite" or "granitemoe" or "granitehybrid")
        {
            Own("attention.scale", GgufValue.Of((float)config.AttentionScale));
            Own("embedding_scale", GgufValue.Of((float)config.EmbeddingMultiplier));
            Own("residual_scale", GgufValue.Of((float)config.ResidualMultiplier));
            Own("logit_scale", GgufValue.Of((float)config.LogitDivisor));
        }
        Own("vocab_size", GgufValue.Of((uint)config.VocabularySize));
        Add("general.file_type", GgufValue.Of(options.Type switch { GgufTensorType.F32 => 0u, GgufTensorType.F16 => 1u, GgufTensorType.Q8_0 => 7u, _ => 32u }));
        if (options.Type == GgufTensorType.Q8_0) Add("general.quantization_version", GgufValue.Of(2u));
        metadata.AddRange(vocabulary);
        foreach (var note in (string?[])[GgufNotes.Window(config), GgufNotes.LatentNorms(config)])
            if (note is not null) notes.Add(note);
        return metadata;
    }

    /// <summary>
    /// Tensors that divide the rotary frequencies, one value for each pair: of llama3 scaling as llama.cpp's converter computes them, of LongRoPE both
    /// lists; none for other kinds.
    /// </summary>
    public static IReadOnlyList<(string Name, float[] Values)> RopeFactors(ModelConfig config)
    {
        var rope = config.Ropes[0];
        return rope.Kind switch
        {
            RopeKind.Llama3 => [("rope_freqs.weight", Llama3(rope))],
            // Pairs that are not turned get a frequency of nothing.
            RopeKind.Proportional => [("rope_freqs.weight",
                [.. Enumerable.Range(0, rope.Dimensions / 2).Select(pair => pair < rope.TurnedPairs ? 1f : 1e30f)])],
            RopeKind.LongRope => [("rope_factors_long.weight", Floats(rope.LongFactors)), ("rope_factors_short.weight", Floats(rope.ShortFactors))],
            _ => [],
        };
    }

    // One number where all layers have the same, else a list.
    private static GgufValue PerLayer(ModelConfig config, Func<LayerConfig, int> of)
    {
        int[] all = [.. config.Layers.Select(of)];
        return all.Distinct().Count() == 1 ? GgufValue.Of((uint)all[0]) : GgufValue.Of(all);
    }

    // Of experts alone, the width of one.
    private static int Width(FeedForward block) => block switch
    {
        DenseFeedForward dense => dense.Width,
        DenseBesideExperts both => both.Dense.Width,
        ExpertFeedForward experts => experts.Width,
        _ => 0,
    };

    // Of a model whose name has Phi-3 in it llama.cpp looks up Phi-3's own tokens, and does not load it where one of them is absent.
    private static bool IsSafe(string name, IReadOnlyList<KeyValuePair<string, GgufValue>> vocabulary)
    {
        if (!name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) && !name.Contains("phi3", StringComparison.OrdinalIgnoreCase)) return true;
        var tokens = (string[])vocabulary.First(one => one.Key == "tokenizer.ggml.tokens").Value.Value;
        return Phi3Tokens.All(tokens.Contains);
    }

    private static float[] Floats(IReadOnlyList<double> values) => [.. values.Select(value => (float)value)];

    private static float[] Llama3(RopeConfig rope)
    {
        var (factor, original) = (rope.Factor!.Value, (double)rope.OriginalMaxPositions);
        double longest = original / rope.LowFrequencyFactor, shortest = original / rope.HighFrequencyFactor;
        return [.. Enumerable.Range(0, rope.Dimensions / 2).Select(pair =>
        {
            var wave = 2 * Math.PI * Math.Pow(rope.Theta, 2.0 * pair / rope.Dimensions);
            if (wave < shortest) return 1f;
            if (wave > longest) return (float)factor;
            var smooth = (original / wave - rope.LowFrequencyFactor) / (rope.HighFrequencyFactor - rope.LowFrequencyFactor);
            return (float)(1 / ((1 - smooth) / factor + smooth));
        })];
    }
}
