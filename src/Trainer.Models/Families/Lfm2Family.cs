using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>LFM 2: most layers mix tokens by a short gated convolution, some attend.</summary>
internal static class Lfm2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = Common(reader, type, 12288);
        return Mixed(reader, config, Width(reader, reader.Positive("block_ff_dim", config.IntermediateSize)));
    }

    /// <summary>The same with experts in all layers but the first: sigmoid scores, a correction of the choice that lies beside the router.</summary>
    public static ModelConfig DescribeExperts(ConfigReader reader, string type)
    {
        var config = Common(reader, type, 7168);
        var (dense, experts) = (reader.Int("num_dense_layers", 2), MixtureKeys.Experts(reader, 32));
        return Mixed(reader, config, config.IntermediateSize).WithExperts(l => l >= dense, new ExpertFeedForward
        {
            Path = "feed_forward",
            Names = new("w1", "w3", "w2", "gate_up_proj", "down_proj"),
            Experts = experts,
            Width = reader.Positive("moe_intermediate_size", 1792),
            Activation = Activation.Silu,
            Router = MixtureKeys.Router(reader, experts, reader.Bool("norm_topk_prob", true), 4, balance: null) with
            {
                Scores = RouterScores.Sigmoid,
                HasCorrection = reader.Bool("use_expert_bias", true),
                CorrectionName = "expert_bias",
                LeastSum = 1e-6,
                Scale = reader.Number("routed_scaling_factor", 1),
            },
        });
    }

    private static ModelConfig Common(ConfigReader reader, string type, int width) =>
        FamilyBase.Common(reader, type, new FamilyDefaults { EpsilonKey = "norm_eps", Epsilon = 1e-5, Theta = 1_000_000,
        Tied = reader.Bool("tie_embedding", true), IntermediateSize = width });

    private static ModelConfig Mixed(ConfigReader reader, ModelConfig config, int width)
    {
        var attending = reader.Ids("full_attn_idxs");
        var types = FamilyBase.LayerTypes(reader, config.LayerCount, l => attending.Count == 0 || attending.Contains(l) ? "full_attention" : "conv");
        if (types.FirstOrDefault(kind => kind is not ("full_attention" or "conv")) is { } other) throw reader.NotImplemented("layer_types", $"'{other}'");
        var convolution = new ShortConvolution { Taps = reader.Positive("conv_L_cache", 3), HasBias = reader.Bool("conv_bias") };
        return (config with { FinalNormName = "embedding_norm" })
            .WithAttention(attention => attention with { OutputName = "out_proj", QkNorm = QkNorm.PerHead, QueryNormName = "q_layernorm",
                KeyNormName = "k_layernorm" })
            .WithFeedForward(block => block with { Path = "feed_forward", Width = width, GateName = "w1", UpName = "w3", DownName = "w2",
                Activation = Activation.Silu })
            .WithLayers((layer, l) => layer with { Mixer = types[l] == "conv" ? convolution : layer.Mixer,
                Norms = new("operator_norm", null, "ffn_norm", null) });
    }

    // Two thirds, times a factor, rounded up to a multiple.
    private static int Width(ConfigReader reader, int width)
    {
        if (!reader.Bool("block_auto_adjust_ff_dim", true)) return width;
        width = 2 * width / 3;
        if (reader.NumberOrNull("block_ffn_dim_multiplier") is { } factor) width = (int)(factor * width);
        var unit = reader.Positive("block_multiple_of", 256);
        return (width + unit - 1) / unit * unit;
    }
}
