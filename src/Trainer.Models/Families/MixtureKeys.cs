using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Models.Families;

/// <summary>What the families of experts read the same way.</summary>
internal static class MixtureKeys
{
    /// <summary>Number of experts, in either spelling.</summary>
    public static int Experts(ConfigReader reader, int? otherwise = null)
        => reader.Has("num_local_experts") ? reader.Positive("num_local_experts") : reader.Positive("num_experts", otherwise);

    /// <summary>A router of softmax scores; as many experts as config.json says must exist.</summary>
    /// <param name="reader">config.json.</param>
    /// <param name="experts">Experts of a layer.</param>
    /// <param name="isNormalized">Whether the scores of the chosen are divided by their sum.</param>
    /// <param name="chosen">Experts of a token where config.json is silent.</param>
    /// <param name="balance">The balancing term's multiplier where config.json is silent; null where transformers has no such term for the family.</param>
    public static RouterConfig Router(ConfigReader reader, int experts, bool isNormalized, int? chosen = null, double? balance = 0.001)
    {
        var count = reader.Positive("num_experts_per_tok", chosen);
        if (count > experts) throw reader.Fault("num_experts_per_tok", $"is {count}, the model has {experts} experts");
        // Without router logits the loss has no term that balances experts; they are off unless somebody turned them on.
        var coefficient = balance is { } otherwise && reader.Bool("output_router_logits") ? reader.Number("router_aux_loss_coef", otherwise) : 0;
        if (coefficient < 0) throw reader.Fault("router_aux_loss_coef", $"is {coefficient}, it must not be below 0");
        return new RouterConfig { Chosen = count, IsNormalized = isNormalized, BalanceLoss = coefficient };
    }

    /// <summary>Which layers are sparse: all but those named, and of every so many the last.</summary>
    public static Func<int, bool> Sparse(ConfigReader reader, int layers)
    {
        var (step, dense) = (reader.Positive("decoder_sparse_step", 1), reader.Ids("mlp_only_layers"));
        if (dense.FirstOrDefault(layer => layer < 0 || layer >= layers, -1) is >= 0 and var outside)
            throw reader.Fault("mlp_only_layers", $"names layer {outside} of {layers}");
        return l => !dense.Contains(l) && (l + 1) % step == 0;
    }

    /// <summary>The config with experts in some layers.</summary>
    public static ModelConfig WithExperts(this ModelConfig config, Func<int, bool> isSparse, ExpertFeedForward experts) =>
        config.WithLayers((layer, l) => isSparse(l) ? layer with { FeedForward = experts } : layer);
}
