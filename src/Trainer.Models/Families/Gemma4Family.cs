using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>
/// Gemma 4 (text): sliding and full layers with heads of their own sizes, values normed, keys and values shared by late layers, perhaps a small input for each
/// layer
/// and experts beside the dense block.
/// </summary>
internal static class Gemma4Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type,
            new FamilyDefaults { HeadSize = 256, Tied = true, RotaryShare = 1, VocabularySize = 262_144, IntermediateSize = 6144, HiddenSize = 2304, Heads = 8,
            KvHeads = 4 });
        var activation = GemmaFamily.ReadActivation(reader);
        var isFull = IsFull(reader, config.LayerCount);
        var size = reader.Int("hidden_size_per_layer_input", 256);
        config = config with
        {
            EmbeddingMultiplier = Math.Sqrt(config.HiddenSize),
            LogitSoftCap = reader.PositiveNumberOrNull("final_logit_softcapping"),
            Ropes = Ropes(reader, config),
            PerLayerInput = size > 0 ? new PerLayerInput(size, reader.Positive("vocab_size_per_layer_input", 262_144)) : null,
        };
        return Attention(reader, config, isFull)
            .WithFeedForward(block => block with { Activation = activation })
            .WithLayers((layer, l) => Block(reader, config, layer, l) with { HasScalar = true });
    }

    // Every sixth layer is full, and the last whatever the rule says.
    private static bool[] IsFull(ConfigReader reader, int layers)
    {
        var full = FamilyBase.Sliding(reader, layers, l => (l + 1) % 6 != 0).Select(sliding => !sliding).ToArray();
        full[^1] = true;
        return full;
    }

    private static IReadOnlyList<RopeConfig> Ropes(ConfigReader reader, ModelConfig config)
    {
        var size = reader.Positive("global_head_dim", 512);
        return
        [
            RopeReader.Read(reader, size, 1_000_000, 1, "full_attention"),
            RopeReader.Read(reader, config.HeadSize, 10_000, layerType: "sliding_attention"),
        ];
    }

    private static ModelConfig Attention(ConfigReader reader, ModelConfig config, bool[] isFull)
    {
        var (size, window, sharesValues, bias) = (reader.Positive("global_head_dim", 512), reader.Positive("sliding_window",
            512), reader.Bool("attention_k_eq_v"), reader.Bool("attention_bias"));
        var kvHeads = sharesValues ? reader.PositiveOrNull("num_global_key_value_heads") : null;
        var firstShared = config.LayerCount - reader.Int("num_kv_shared_layers", 0);
        if (firstShared < 1) throw reader.Fault("num_kv_shared_layers", $"leaves no layer with keys and values among {config.LayerCount}");
        return config.WithAttention((attention, l) => attention with
        {
            Scale = 1,
            QkvBias = bias,
            OutputBias = bias,
            HeadSize = isFull[l] ? size : attention.HeadSize,
            KvHeads = isFull[l] ? kvHeads ?? attention.KvHeads : attention.KvHeads,
            Rope = isFull[l] ? 0 : 1,
            Window = isFull[l] ? null : window,
            QkNorm = QkNorm.PerHead,
            NormsValues = true,
            ValuesAreKeys = isFull[l] && sharesValues,
            IsSource = l < firstShared && firstShared < config.LayerCount,
            KeysOfLayer = l >= firstShared ? GemmaSharing.LastOfKind(reader, isFull, firstShared, l) : null,
        });
    }

    private static LayerConfig Block(ConfigReader reader, ModelConfig config, LayerConfig layer, int l)
    {
        var dense = (DenseFeedForward)layer.FeedForward;
        var isShared = ((SelfAttention)layer.Mixer).KeysOfLayer is not null;
        if (isShared && reader.Bool("use_double_wide_mlp")) dense = dense with { Width = 2 * dense.Width };
        if (!reader.Bool("enable_moe_block")) return layer with { FeedForward = dense, Norms = Gemma2Family.FourNorms };
        var experts = MixtureKeys.Experts(reader);
        var block = new ExpertFeedForward
        {
            Path = "",
            Epsilon = config.Norm.Epsilon,
            Experts = experts,
            Width = reader.Positive("moe_intermediate_size"),
            Activation = dense.Activation,
            Router = MixtureKeys.Router(reader, experts, isNormalized: true, reader.Positive("top_k_experts"), balance: null) with { Name = "router",
                WeightName = "proj.weight", HasNorm = true, HasExpertScales = true },
        };
        return layer with
        {
            FeedForward = new DenseBesideExperts(dense, block, config.Norm),
            Norms = new("input_layernorm", "post_attention_layernorm", null, "post_feedforward_layernorm"),
        };
    }
}
