namespace Trainer.Models;

/// <summary>LFM 2: most layers mix tokens by a short gated convolution, some attend.</summary>
internal static class Lfm2Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { EpsilonKey = "norm_eps", Epsilon = 1e-5, Theta = 1_000_000, Tied = reader.Bool("tie_embedding", true), IntermediateSize = 12288 });
        var attending = reader.Ids("full_attn_idxs");
        var types = FamilyBase.LayerTypes(reader, config.LayerCount, l => attending.Count == 0 || attending.Contains(l) ? "full_attention" : "conv");
        if (types.FirstOrDefault(kind => kind is not ("full_attention" or "conv")) is { } other) throw reader.NotImplemented("layer_types", $"'{other}'");
        var convolution = new ShortConvolution { Taps = reader.Positive("conv_L_cache", 3), HasBias = reader.Bool("conv_bias") };
        var width = Width(reader, reader.Positive("block_ff_dim", config.IntermediateSize));
        return (config with { FinalNormName = "embedding_norm" })
            .WithAttention(attention => attention with { OutputName = "out_proj", QkNorm = QkNorm.PerHead, QueryNormName = "q_layernorm", KeyNormName = "k_layernorm" })
            .WithFeedForward(block => block with { Path = "feed_forward", Width = width, GateName = "w1", UpName = "w3", DownName = "w2", Activation = Activation.Silu })
            .WithLayers((layer, l) => layer with { Mixer = types[l] == "conv" ? convolution : layer.Mixer, Norms = new("operator_norm", null, "ffn_norm", null) });
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
