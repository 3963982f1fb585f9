using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>StableLM: Llama with LayerNorm and a quarter of each head rotated; perhaps both blocks side by side.</summary>
internal static class StableLmFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { EpsilonKey = "layer_norm_eps", Epsilon = 1e-5, RotaryShare = 0.25 });
        var (bias, hasHeadNorms, isParallel) = (reader.Bool("use_qkv_bias"), reader.Bool("qk_layernorm"), reader.Bool("use_parallel_residual"));
        var layerNorm = config.Norm with { Kind = NormKind.Layer };
        return (config with { Norm = layerNorm with { HasBias = true } })
            .WithAttention(attention => attention with
            {
                QkvBias = bias,
                HeadNorm = layerNorm,
                QkNorm = hasHeadNorms ? QkNorm.OwnWeightsByRow : QkNorm.None,
                QueryNormName = "q_layernorm.norms",
                KeyNormName = "k_layernorm.norms",
            })
            .WithLayers((layer, _) => isParallel ? layer with { IsParallel = true, Norms = new("input_layernorm", null, null, null) } : layer);
    }
}
