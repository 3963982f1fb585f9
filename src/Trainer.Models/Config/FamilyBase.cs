namespace Trainer.Models;

/// <summary>What every family reads the same way.</summary>
internal static class FamilyBase
{
    /// <summary>The common keys, as Llama has them; a family changes what differs with <c>with</c>.</summary>
    /// <param name="reader">config.json.</param>
    /// <param name="type">model_type.</param>
    /// <param name="headSize">Head size where config.json has none; null derives it from width and heads.</param>
    /// <param name="kvHeadsRequired">Whether num_key_value_heads must be there (families whose default is an arbitrary number).</param>
    /// <param name="tied">Whether embeddings are tied where config.json does not say.</param>
    /// <param name="epsilon">rms_norm_eps where config.json does not say.</param>
    /// <param name="partialRotary">Whether the family can rotate a part of each head.</param>
    public static ModelConfig Common(ConfigReader reader, string type, int? headSize = null, bool kvHeadsRequired = false, bool tied = false, double epsilon = 1e-6, bool partialRotary = false)
    {
        var hidden = reader.Positive("hidden_size");
        var heads = reader.Positive("num_attention_heads");
        var kvHeads = kvHeadsRequired ? reader.Positive("num_key_value_heads") : reader.Positive("num_key_value_heads", heads);
        if (heads % kvHeads != 0) throw reader.Fault("num_key_value_heads", $"is {kvHeads}, which does not divide num_attention_heads {heads}");
        if (!reader.Has("head_dim") && headSize is null && hidden % heads != 0) throw reader.Fault("hidden_size", $"is {hidden}, which num_attention_heads {heads} does not divide");
        var head = reader.Positive("head_dim", headSize ?? hidden / heads);
        if (head % 2 != 0) throw reader.Fault("head_dim", $"is {head}, it must be even");
        var layers = reader.Positive("num_hidden_layers");
        return new ModelConfig
        {
            ModelType = type,
            VocabularySize = reader.Positive("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = reader.Positive("intermediate_size"),
            Heads = heads,
            KvHeads = kvHeads,
            HeadSize = head,
            MaxPositions = reader.Positive("max_position_embeddings", 2048),
            NormEpsilon = reader.Number("rms_norm_eps", epsilon),
            AttentionScale = 1 / Math.Sqrt(head),
            TiedEmbeddings = reader.Bool("tie_word_embeddings", tied),
            Activation = ReadActivation(reader, "hidden_act", "silu"),
            Layers = [.. Enumerable.Repeat(new LayerConfig(null, 0), layers)],
            Ropes = [RopeReader.Read(reader, head, partial: partialRotary)],
        };
    }

    public static Activation ReadActivation(ConfigReader reader, string key, string otherwise) => (reader.Text(key) ?? otherwise) switch
    {
        "silu" or "swish" => Activation.Silu,
        "gelu_pytorch_tanh" or "gelu_new" or "gelu_fast" => Activation.GeluTanh,
        "gelu" => Activation.Gelu,
        var other => throw reader.NotImplemented(key, $"'{other}'"),
    };

    /// <summary>layer_types where given, else a rule; sliding layers get the window.</summary>
    public static IReadOnlyList<LayerConfig> Windows(ConfigReader reader, int layers, int? window, Func<int, bool> isSliding, Func<bool, int>? rope = null)
    {
        var types = reader.Texts("layer_types");
        if (types is not null && types.Count != layers) throw reader.Fault("layer_types", $"has {types.Count} entries for {layers} layers");
        var result = new LayerConfig[layers];
        for (var l = 0; l < layers; l++)
        {
            var sliding = types?[l] switch
            {
                null => isSliding(l),
                "full_attention" => false,
                "sliding_attention" => true,
                var other => throw reader.NotImplemented("layer_types", $"'{other}'"),
            };
            if (sliding && window is null) throw reader.Missing("sliding_window");
            result[l] = new LayerConfig(sliding ? window : null, rope?.Invoke(sliding) ?? 0);
        }
        return result;
    }
}
