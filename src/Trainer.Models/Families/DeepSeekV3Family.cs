using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>DeepSeek V3 and R1, and GLM-4.7 Flash built like it: latent attention, experts chosen by sigmoid scores in groups.</summary>
internal static class DeepSeekV3Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var dense = reader.Int("first_k_dense_replace", 3);
        return Describe(reader, type, l => l >= dense, isInterleaved: true);
    }

    /// <summary>The same with the kind of each layer by name; without names the first is dense.</summary>
    public static ModelConfig DescribeGlm(ConfigReader reader, string type)
    {
        if (reader.Texts("mlp_layer_types") is not { } types) return Describe(reader, type, l => l > 0, isInterleaved: true);
        if (types.Count != reader.Positive("num_hidden_layers"))
            throw reader.Fault("mlp_layer_types", $"has {types.Count} entries for {reader.Positive("num_hidden_layers")} layers");
        if (types.FirstOrDefault(kind => kind is not ("dense" or "sparse")) is { } other) throw reader.NotImplemented("mlp_layer_types", $"'{other}'");
        return Describe(reader, type, l => types[l] == "sparse", isInterleaved: true);
    }

    private static ModelConfig Describe(ConfigReader reader, string type, Func<int, bool> isSparse, bool isInterleaved)
    {
        var (plain, rotated) = (reader.Positive("qk_nope_head_dim", 128), reader.Positive("qk_rope_head_dim", 64));
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { HeadSize = rotated });
        var rope = RopeReader.Read(reader, rotated) with { IsInterleaved = reader.Bool("rope_interleave", isInterleaved) };
        var attention = new LatentAttention
        {
            Heads = reader.Positive("num_attention_heads"),
            QueryRank = reader.PositiveOrNull("q_lora_rank"),
            KvRank = reader.Positive("kv_lora_rank", 512),
            PlainSize = plain,
            RotatedSize = rotated,
            ValueSize = reader.Positive("v_head_dim", 128),
            Scale = Growth(rope) * Growth(rope) / Math.Sqrt(plain + rotated),
            HasBias = reader.Bool("attention_bias"),
        };
        return (config with { Ropes = [rope], HasExtraLayers = true })
            .WithExperts(isSparse, Glm4MoeFamily.Experts(reader, config))
            .WithLayers((layer, _) => layer with { Mixer = attention });
    }

    // YaRN's magnitude, which here multiplies scores beside what cosine and sine carry.
    private static double Growth(RopeConfig rope) =>
        rope is { Kind: RopeKind.Yarn, Factor: > 1 and { } factor, MscaleAllDimensions: not (null or 0) and { } share }
        ? 0.1 * share * Math.Log(factor) + 1 : 1;
}
