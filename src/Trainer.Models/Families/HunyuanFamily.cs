using Trainer.Models.Config;

namespace Trainer.Models.Families;

/// <summary>Hunyuan (dense, first version): Llama with norms on queries and keys after the rotary embedding.</summary>
internal static class HunyuanFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var hasNorms = reader.Bool("use_qk_norm", true);
        if (!hasNorms) throw reader.NotImplemented("use_qk_norm", "false");
        return LlamaFamily.Describe(reader, type, new FamilyDefaults { Epsilon = 1e-5 }).WithAttention(attention => attention with
        {
            QkNorm = QkNorm.PerHead,
            NormsRotated = true,
            QueryNormName = "query_layernorm",
            KeyNormName = "key_layernorm",
        });
    }
}
