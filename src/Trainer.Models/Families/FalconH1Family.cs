using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Falcon H1: in each layer Mamba-2 and attention side by side, and multipliers at every joint.</summary>
internal static class FalconH1Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { KvHeadsRequired = true, Epsilon = 1e-5 });
        var (bias, mlpBias, keys) = (reader.Bool("attention_bias"), reader.Bool("mlp_bias"), reader.Number("key_multiplier", 1));
        var mlp = reader.Numbers("mlp_multipliers") ?? [1, 1];
        if (mlp.Count != 2) throw reader.Fault("mlp_multipliers", $"has {mlp.Count} entries, it must have 2");
        var mamba = Mamba(reader, config);
        var (input, output, state) = (reader.Number("attention_in_multiplier", 1), reader.Number("attention_out_multiplier",
            1), reader.Number("ssm_out_multiplier", 1));
        config = config.WithAttention(attention => attention with { QkvBias = bias, OutputBias = bias, KeyMultiplier = keys })
            .WithFeedForward(block => block with { Path = "feed_forward", HasBias = mlpBias, GateMultiplier = mlp[0], DownMultiplier = mlp[1] });
        return (config with
        {
            FinalNormName = "final_layernorm",
            EmbeddingMultiplier = reader.Number("embedding_multiplier", 1),
            LogitDivisor = 1 / reader.PositiveNumber("lm_head_multiplier", 1),
        }).WithLayers((layer, _) => layer with
        {
            Mixer = new SideBySide((SelfAttention)layer.Mixer, mamba) { AttentionInput = input, AttentionOutput = output, MambaOutput = state },
            Norms = new("input_layernorm", null, "pre_ff_layernorm", null),
        });
    }

    private static Mamba2 Mamba(ConfigReader reader, ModelConfig config)
    {
        var heads = reader.Positive("mamba_n_heads", 128);
        var inner = reader.PositiveOrNull("mamba_d_ssm") ?? reader.Positive("mamba_expand", 2) * config.HiddenSize;
        if (inner % heads != 0) throw reader.Fault("mamba_n_heads", $"is {heads}, which does not divide the width {inner}");
        var (groups, limits, parts) = (MambaKeys.Groups(reader, heads), MambaKeys.StepLimits(reader), reader.Numbers("ssm_multipliers"));
        if (parts is { Count: not 5 }) throw reader.Fault("ssm_multipliers", $"has {parts.Count} entries, it must have 5");
        return new Mamba2
        {
            Heads = heads,
            HeadSize = inner / heads,
            Groups = groups,
            StateSize = reader.Positive("mamba_d_state", 256),
            Taps = reader.Positive("mamba_d_conv", 4),
            ConvolutionBias = reader.Bool("mamba_conv_bias", true),
            InputBias = reader.Bool("mamba_proj_bias"),
            OutputBias = reader.Bool("projectors_bias"),
            LeastStep = limits.Least,
            LargestStep = limits.Largest,
            ResultNorm = reader.Bool("mamba_rms_norm") ? config.Norm : null,
            NormGroups = groups,
            NormsBeforeGate = reader.Bool("mamba_norm_before_gate", true),
            InputMultiplier = reader.Number("ssm_in_multiplier", 1),
            PartMultipliers = parts,
        };
    }
}
