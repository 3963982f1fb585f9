using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>
/// Nemotron-H and Nemotron 3: each layer is one block, Mamba-2, attention without rotary embedding, a feed-forward block without a gate, or experts of the
/// same kind, perhaps in a narrower space.
/// </summary>
internal static class NemotronHFamily
{
    public static ModelConfig Describe(ConfigReader reader, string type)
    {
        var kinds = Kinds(reader);
        var config = FamilyBase.Common(reader, type, new FamilyDefaults { HeadSize = reader.Int("attention_head_dim", 128), HiddenSize = 4096, Heads = 32,
            KvHeads = 8, IntermediateSize = 21504, VocabularySize = 131_072, EpsilonKey = "layer_norm_epsilon", Epsilon = 1e-5, Activation = "relu2",
            Layers = kinds.Count });
        var (activation, bias) = (FamilyBase.ReadActivation(reader, "mlp_hidden_act", "relu2"), reader.Bool("mlp_bias"));
        var attention = (SelfAttention)config.Layers[0].Mixer with { Path = "mixer", Rope = -1, QkvBias = reader.Bool("attention_bias"),
            OutputBias = reader.Bool("attention_bias") };
        var dense = new DenseFeedForward { Path = "mixer", Width = ((DenseFeedForward)config.Layers[0].FeedForward).Width, Activation = activation,
            IsGated = false, HasBias = bias };
        var mamba = kinds.Contains('M') ? Mamba(reader, config) : null;
        var experts = kinds.Contains('E') ? Experts(reader, dense) : null;
        // Of other kinds of layers these keys may stand there all the same.
        if (experts is null) _ = (reader.Int("n_routed_experts", 0), reader.Int("moe_intermediate_size", 0));
        return (config with { EmbeddingName = "embeddings", FinalNormName = "norm_f", IgnoredTensors = ["mtp."], TiedEmbeddings = false }).WithLayers((_, l) =>
            kinds[l] is 'M' or '*'
            ? new LayerConfig { Mixer = kinds[l] == 'M' ? mamba! : attention, FeedForward = new NoFeedForward(), Norms = new("norm", null, null, null) }
            : new LayerConfig { Mixer = new NoMixer(), FeedForward = kinds[l] == 'E' ? experts! : dense, Norms = new(null, null, "norm", null) });
    }

    // One sign a layer: M Mamba-2, * attention, - feed-forward, E experts. Newer files name them one by one.
    private static List<char> Kinds(ConfigReader reader)
    {
        var key = reader.Has("layers_block_type") || !reader.Has("layer_types") ? "layers_block_type" : "layer_types";
        List<char> kinds = reader.Texts(key) is { } names
            ? [.. names.Select(name => name switch
            {
                "mamba" or "linear_attention" => 'M',
                "attention" or "full_attention" => '*',
                "mlp" => '-',
                "moe" => 'E',
                var other => throw reader.NotImplemented(key, $"'{other}'"),
            })]
            : [.. reader.Text("hybrid_override_pattern") ?? throw reader.Missing("hybrid_override_pattern")];
        if (kinds.Count == 0) throw reader.Fault(reader.Has(key) ? key : "hybrid_override_pattern", "names no layer");
        return kinds.FindIndex(kind => kind is not ('M' or '*' or '-' or 'E')) is >= 0 and var wrong
            ? throw reader.NotImplemented("hybrid_override_pattern", $"'{kinds[wrong]}' in place {wrong}") : kinds;
    }

    private static Mamba2 Mamba(ConfigReader reader, ModelConfig config)
    {
        var (heads, limits, bias) = (reader.Positive("mamba_num_heads", 128), MambaKeys.StepLimits(reader), reader.Bool("use_bias"));
        var groups = reader.Positive("n_groups", 8);
        if (heads % groups != 0) throw reader.Fault("n_groups", $"is {groups}, which does not divide mamba_num_heads {heads}");
        if (reader.Text("mamba_hidden_act") is { } act && act is not ("silu" or "swish")) throw reader.NotImplemented("mamba_hidden_act", $"'{act}'");
        return new Mamba2
        {
            Path = "mixer",
            Heads = heads,
            HeadSize = reader.Positive("mamba_head_dim", 64),
            Groups = groups,
            StateSize = reader.Positive("ssm_state_size", 128),
            Taps = reader.Positive("conv_kernel", 4),
            ConvolutionBias = reader.Bool("use_conv_bias", true),
            InputBias = bias,
            OutputBias = bias,
            LeastStep = limits.Least,
            LargestStep = limits.Largest,
            ResultNorm = config.Norm,
            NormGroups = groups,
        };
    }

    private static ExpertFeedForward Experts(ConfigReader reader, DenseFeedForward dense)
    {
        var block = DeepSeekExperts.Read(reader, dense.Activation);
        return block with
        {
            Path = "mixer",
            IsGated = false,
            Names = new("gate_proj", "up_proj", "down_proj", "up_proj", "down_proj"),
            LatentWidth = reader.PositiveOrNull("moe_latent_size"),
            LatentBias = dense.HasBias,
            Shared = dense with { Path = "mixer.shared_experts", Width = reader.Positive("moe_shared_expert_intermediate_size", 7688) },
        };
    }
}
