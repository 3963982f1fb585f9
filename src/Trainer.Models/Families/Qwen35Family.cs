using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Qwen 3.5 and Qwen 3 Next: three of four layers by the gated delta rule, the others attend with a gate on their output; norm weights minus
/// one.</summary>
internal static class Qwen35Family
{
    public static ModelConfig Describe(ConfigReader reader, string type) => Describe(reader, type, isPacked: false);

    /// <summary>Qwen 3.5 with experts in every layer.</summary>
    public static ModelConfig DescribeExperts(ConfigReader reader, string type)
    {
        var config = Describe(reader, type, isPacked: false);
        return config.WithExperts(_ => true, Experts(reader, config, isNormalized: true, 256));
    }

    /// <summary>Qwen 3 Next: projections packed by key head, experts in most layers.</summary>
    public static ModelConfig DescribeNext(ConfigReader reader, string type)
    {
        var config = Describe(reader, type, isPacked: true);
        var sparse = MixtureKeys.Sparse(reader, config.LayerCount);
        return config.WithExperts(sparse, Experts(reader, config, reader.Bool("norm_topk_prob", true), 512));
    }

    private static ModelConfig Describe(ConfigReader reader, string type, bool isPacked)
    {
        // With experts in every layer config.json needs no width of a dense block.
        var width = reader.IntOrNull("moe_intermediate_size");
        var config = FamilyBase.Common(reader, type,
            new FamilyDefaults { HeadSize = 256, KvHeadsRequired = true, RotaryShare = 0.25, IntermediateSize = width });
        var (bias, interval) = (reader.Bool("attention_bias"), reader.Positive("full_attention_interval", 4));
        var types = FamilyBase.LayerTypes(reader, config.LayerCount, l => (l + 1) % interval == 0 ? "full_attention" : "linear_attention");
        if (types.FirstOrDefault(kind => kind is not ("full_attention" or "linear_attention")) is { } other)
            throw reader.NotImplemented("layer_types", $"'{other}'");
        var delta = Delta(reader, config.Norm, isPacked);
        return (config with { IgnoredTensors = ["mtp.", "visual.", "model.visual."] })
            .WithNorm(norm => norm with { WeightPlusOne = true })
            .WithAttention(attention => attention with { QkNorm = QkNorm.PerHead, HasGate = true, QkvBias = bias, OutputBias = bias })
            .WithLayers((layer, l) => types[l] == "linear_attention" ? layer with { Mixer = delta } : layer);
    }

    private static GatedDelta Delta(ConfigReader reader, NormConfig norm, bool isPacked)
    {
        var (keys, values) = (reader.Positive("linear_num_key_heads", 16), reader.Positive("linear_num_value_heads", 32));
        if (values % keys != 0) throw reader.Fault("linear_num_value_heads", $"is {values}, which linear_num_key_heads {keys} does not divide");
        return new GatedDelta
        {
            KeyHeads = keys,
            ValueHeads = values,
            KeySize = reader.Positive("linear_key_head_dim", 128),
            ValueSize = reader.Positive("linear_value_head_dim", 128),
            Taps = reader.Positive("linear_conv_kernel_dim", 4),
            IsPacked = isPacked,
            HeadNorm = norm,
        };
    }

    private static ExpertFeedForward Experts(ConfigReader reader, ModelConfig config, bool isNormalized, int otherwise)
    {
        var experts = MixtureKeys.Experts(reader, otherwise);
        return new ExpertFeedForward
        {
            Experts = experts,
            Width = reader.Positive("moe_intermediate_size", 512),
            Activation = config.Activation,
            Router = MixtureKeys.Router(reader, experts, isNormalized, 8),
            Shared = new DenseFeedForward { Path = "mlp.shared_expert", Width = reader.Positive("shared_expert_intermediate_size", 512),
                Activation = config.Activation },
            SharedGateName = "shared_expert_gate",
        };
    }
}
