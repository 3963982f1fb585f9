using Trainer.Models.Parts;

namespace Trainer.Models.Config;

/// <summary>What every family reads the same way.</summary>
internal static class FamilyBase
{
    private const int MostLayers = 10_000;

    /// <summary>The common keys, as Llama has them; a family changes what differs.</summary>
    /// <param name="reader">config.json.</param>
    /// <param name="type">model_type.</param>
    /// <param name="defaults">What holds where config.json does not say.</param>
    public static ModelConfig Common(ConfigReader reader, string type, FamilyDefaults? defaults = null)
    {
        defaults ??= new FamilyDefaults();
        var hidden = reader.Positive("hidden_size", defaults.HiddenSize);
        var heads = reader.Positive("num_attention_heads", defaults.Heads);
        var kvHeads = reader.Positive("num_key_value_heads", defaults.KvHeadsRequired ? null : defaults.KvHeads ?? heads);
        if (heads % kvHeads != 0) throw reader.Fault("num_key_value_heads", $"is {kvHeads}, which does not divide num_attention_heads {heads}");
        if (!reader.Has("head_dim") && defaults.HeadSize is null && hidden % heads != 0)
            throw reader.Fault("hidden_size", $"is {hidden}, which num_attention_heads {heads} does not divide");
        var head = reader.Positive("head_dim", defaults.HeadSize ?? hidden / heads);
        if (head % 2 != 0) throw reader.Fault("head_dim", $"is {head}, it must be even");
        var layers = defaults.Layers ?? reader.Positive("num_hidden_layers");
        // A layer is a value of its own in every drawing: a number that is a mistake must not fill the memory.
        if (layers > MostLayers) throw reader.Fault("num_hidden_layers", $"is {layers}, no model has more than {MostLayers}");
        var norm = new NormConfig(reader.NotNegative(defaults.EpsilonKey, defaults.Epsilon));
        var layer = new LayerConfig
        {
            Mixer = new SelfAttention { Heads = heads, KvHeads = kvHeads, HeadSize = head, Scale = 1 / Math.Sqrt(head), HeadNorm = norm },
            FeedForward = new DenseFeedForward { Width = defaults.WidthIsList
                ? defaults.IntermediateSize!.Value : reader.Positive("intermediate_size", defaults.IntermediateSize),
                Activation = ReadActivation(reader, "hidden_act", defaults.Activation) },
        };
        return new ModelConfig
        {
            ModelType = type,
            VocabularySize = reader.Positive("vocab_size", defaults.VocabularySize),
            HiddenSize = hidden,
            MaxPositions = reader.Positive("max_position_embeddings", 2048),
            Norm = norm,
            TiedEmbeddings = reader.Bool("tie_word_embeddings", defaults.Tied),
            Layers = [.. Enumerable.Repeat(layer, layers)],
            Ropes = [RopeReader.Read(reader, head, defaults.Theta, defaults.RotaryShare)],
        };
    }

    public static Activation ReadActivation(ConfigReader reader, string key, string otherwise) => (reader.Text(key) ?? otherwise) switch
    {
        "silu" or "swish" => Activation.Silu,
        "gelu_pytorch_tanh" or "gelu_new" or "gelu_fast" => Activation.GeluTanh,
        "gelu" => Activation.Gelu,
        "relu2" => Activation.ReluSquared,
        "xielu" => Activation.Xielu,
        var other => throw reader.NotImplemented(key, $"'{other}'"),
    };

    /// <summary>Which layers slide: layer_types where given, else a rule.</summary>
    /// <param name="reader">config.json.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="isSliding">The rule, by zero-based layer.</param>
    public static bool[] Sliding(ConfigReader reader, int layers, Func<int, bool> isSliding)
        => [.. LayerTypes(reader, layers, l => isSliding(l) ? "sliding_attention" : "full_attention")
        .Select(type => type switch
        {
            "full_attention" => false,
            "sliding_attention" => true,
            var other => throw reader.NotImplemented("layer_types", $"'{other}'"),
        })];

    /// <summary>The kind of each layer by name: layer_types where given, else a rule.</summary>
    public static IReadOnlyList<string> LayerTypes(ConfigReader reader, int layers, Func<int, string> otherwise)
    {
        var types = reader.Texts("layer_types") ?? [.. Enumerable.Range(0, layers).Select(otherwise)];
        return types.Count == layers ? types : throw reader.Fault("layer_types", $"has {types.Count} entries for {layers} layers");
    }

    /// <summary>The config with a window in each layer that slides.</summary>
    /// <param name="config">The model so far.</param>
    /// <param name="reader">config.json.</param>
    /// <param name="window">The window, or null where the family must then not slide.</param>
    /// <param name="isSliding">The rule where layer_types is absent.</param>
    /// <param name="slidingRope">Rotary embedding of sliding layers.</param>
    /// <param name="fullRope">Rotary embedding of the others.</param>
    public static ModelConfig WithWindows(this ModelConfig config, ConfigReader reader, int? window, Func<int, bool> isSliding, int slidingRope = 0,
        int fullRope = 0)
    {
        var sliding = Sliding(reader, config.LayerCount, isSliding);
        if (window is null && sliding.Contains(true)) throw reader.Missing("sliding_window");
        return config.WithAttention((attention, l) => attention with { Window = sliding[l] ? window : null, Rope = sliding[l] ? slidingRope : fullRope });
    }

    /// <summary>The config with each layer's attention changed.</summary>
    public static ModelConfig WithAttention(this ModelConfig config, Func<SelfAttention, int, SelfAttention> change) =>
        config.WithLayers((layer, l) => layer.Mixer is SelfAttention attention ? layer with { Mixer = change(attention, l) } : layer);

    /// <summary>The config with each layer's attention changed.</summary>
    public static ModelConfig WithAttention(this ModelConfig config, Func<SelfAttention, SelfAttention> change)
        => config.WithAttention((attention, _) => change(attention));

    /// <summary>The config with each layer's dense feed-forward block changed.</summary>
    public static ModelConfig WithFeedForward(this ModelConfig config, Func<DenseFeedForward, DenseFeedForward> change) =>
        config.WithLayers((layer, _) => layer.FeedForward is DenseFeedForward dense ? layer with { FeedForward = change(dense) } : layer);

    /// <summary>The config with each layer changed.</summary>
    public static ModelConfig WithLayers(this ModelConfig config, Func<LayerConfig, int, LayerConfig> change)
        => config with { Layers = [.. config.Layers.Select(change)] };

    /// <summary>The config with other norms: of the stream, and of queries and keys.</summary>
    public static ModelConfig WithNorm(this ModelConfig config, Func<NormConfig, NormConfig> change) =>
        (config with { Norm = change(config.Norm) }).WithAttention(attention => attention with { HeadNorm = change(attention.HeadNorm) });
}
