using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Granite 4: layers of Mamba-2 and of attention without rotary embedding, one block for all tokens and perhaps experts beside it.</summary>
internal static class GraniteHybridFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = GraniteFamily.Describe(reader, type);
        var types = FamilyBase.LayerTypes(reader, config.LayerCount, _ => "mamba");
        if (types.FirstOrDefault(kind => kind is not ("attention" or "full_attention" or "mamba")) is { } other)
            throw reader.NotImplemented("layer_types", $"'{other}'");
        var rope = reader.Text("position_embedding_type") == "rope" ? 0 : -1;
        var mamba = types.Contains("mamba") ? Mamba(reader, config) : null;
        var shared = new DenseFeedForward { Path = "shared_mlp", Width = reader.Positive("shared_intermediate_size", 1024), Activation = config.Activation,
            FusedName = "input_linear", DownName = "output_linear" };
        FeedForward block = shared;
        if (reader.Int("num_local_experts", 8) is > 0 and var experts) block = GraniteMoeFamily.Experts(reader, config, experts) with { Shared = shared };
        return config.WithAttention(attention => attention with { Rope = rope })
            .WithLayers((layer, l) => layer with { Mixer = types[l] == "mamba" ? mamba! : layer.Mixer, FeedForward = block });
    }

    private static Mamba2 Mamba(ConfigReader reader, ModelConfig config)
    {
        var (heads, inner) = (reader.Positive("mamba_n_heads", 128), reader.Positive("mamba_expand", 2) * config.HiddenSize);
        if (inner % heads != 0) throw reader.Fault("mamba_n_heads", $"is {heads}, which does not divide the width {inner}");
        var bias = reader.Bool("mamba_proj_bias");
        return new Mamba2
        {
            Heads = heads,
            HeadSize = inner / heads,
            Groups = MambaKeys.Groups(reader, heads),
            StateSize = reader.Positive("mamba_d_state", 256),
            Taps = reader.Positive("mamba_d_conv", 4),
            ConvolutionBias = reader.Bool("mamba_conv_bias", true),
            InputBias = bias,
            OutputBias = bias,
            LeastStep = MambaKeys.StepLimits(reader).Least,
            LargestStep = MambaKeys.StepLimits(reader).Largest,
            ResultNorm = config.Norm,
        };
    }
}
