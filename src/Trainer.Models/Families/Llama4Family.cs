using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>Llama 4 (text): attention in blocks but for some layers without rotary embedding, experts in some layers whose input the router scales.</summary>
internal static class Llama4Family
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { HeadSize = 128, KvHeadsRequired = true, Epsilon = 1e-5, Theta = 500_000 });
        var hasRope = SmolLm3Family.HasRope(reader, config.LayerCount, reader.Positive("no_rope_layer_interval", 4));
        var chunk = reader.PositiveOrNull("attention_chunk_size");
        var (bias, normsHeads, isTempered) = (reader.Bool("attention_bias"), reader.Bool("use_qk_norm", true), reader.Bool("attn_temperature_tuning", true));
        var temperature = new QueryTemperature(reader.Number("attn_scale", 0.1), reader.Number("floor_scale", 8192), 1);
        var types = FamilyBase.LayerTypes(reader, config.LayerCount, l => hasRope[l] ? "chunked_attention" : "full_attention");
        if (types.FirstOrDefault(kind => kind is not ("chunked_attention" or "full_attention")) is { } other)
            throw reader.NotImplemented("layer_types", $"'{other}'");
        var wide = reader.Positive("intermediate_size_mlp", 16384);
        return (config with { Ropes = [config.Ropes[0] with { IsInterleaved = true }] })
            .WithAttention((attention, l) => attention with
            {
                QkvBias = bias,
                OutputBias = bias,
                Chunk = types[l] == "chunked_attention" ? chunk : null,
                Rope = hasRope[l] ? 0 : -1,
                NormsRotated = true,
                QkNorm = normsHeads ? QkNorm.Unit : QkNorm.None,
                Temperature = isTempered && !hasRope[l] ? temperature : null,
            })
            .WithFeedForward(block => block with { Path = "feed_forward", Width = wide })
            .WithExperts(Sparse(reader, config.LayerCount), Experts(reader, config));
    }

    private static Func<int, bool> Sparse(ConfigReader reader, int layers)
    {
        var (step, given) = (reader.Positive("interleave_moe_layer_step", 1), reader.Ids("moe_layers"));
        if (given.Any(layer => layer < 0 || layer >= layers)) throw reader.Fault("moe_layers", $"names a layer that is none of the {layers}");
        return l => given.Count > 0 ? given.Contains(l) : (l + 1) % step == 0;
    }

    private static ExpertFeedForward Experts(ConfigReader reader, ModelConfig config)
    {
        var experts = MixtureKeys.Experts(reader, 16);
        return new ExpertFeedForward
        {
            Path = "feed_forward",
            Experts = experts,
            Width = config.IntermediateSize,
            Activation = config.Activation,
            IsTransposed = true,
            Router = MixtureKeys.Router(reader, experts, isNormalized: false, 1, balance: null) with { Name = "router", Scores = RouterScores.Sigmoid,
                ScalesInput = true },
            Shared = new DenseFeedForward { Path = "feed_forward.shared_expert", Width = config.IntermediateSize, Activation = config.Activation },
        };
    }
}
