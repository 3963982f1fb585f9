using Trainer.Checkpoints.Gguf;
using Trainer.Engine.Layers.Dense;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>Metadata of models with state-space mixers, latent attention, blocks of positions or several streams.</summary>
internal static class GgufHybridKeys
{
    /// <summary>Adds the keys of a model.</summary>
    /// <param name="config">The model.</param>
    /// <param name="own">Takes a key below the architecture's name.</param>
    public static void Add(ModelConfig config, Action<string, GgufValue> own)
    {
        var mixers = config.Layers.Select(layer => layer.Mixer).ToList();
        if (mixers.Select(mixer => mixer is SideBySide both ? both.Mamba : mixer as Mamba2).FirstOrDefault(mamba => mamba is not null) is { } first)
            Mamba(config, first, own);
        if (mixers[0] is LatentAttention latent) Latent(config, latent, own);
        if (config.ModelType == "llama4_text")
        {
            var sparse = config.Layers.Select(layer => layer.FeedForward is ExpertFeedForward).ToList();
            own("interleave_moe_layer_step", GgufValue.Of((uint)(sparse.IndexOf(true) + 1)));
        }
        if (config.Streams is { } streams) Streams(config, streams, own);
    }

    private static void Mamba(ModelConfig config, Mamba2 mamba, Action<string, GgufValue> own)
    {
        own("ssm.conv_kernel", GgufValue.Of((uint)mamba.Taps));
        own("ssm.state_size", GgufValue.Of((uint)mamba.StateSize));
        own("ssm.group_count", GgufValue.Of((uint)mamba.Groups));
        own("ssm.inner_size", GgufValue.Of((uint)mamba.Inner));
        own("ssm.time_step_rank", GgufValue.Of((uint)mamba.Heads));
        if (config.ModelType == "granitemoehybrid") own("rope.scaling.finetuned", GgufValue.Of(config.Attention is { Rope: >= 0 }));
    }

    // Keys and values of the latent are those of one head that all share; their own sizes have keys of their own.
    private static void Latent(ModelConfig config, LatentAttention latent, Action<string, GgufValue> own)
    {
        if (latent.QueryRank is { } rank) own("attention.q_lora_rank", GgufValue.Of((uint)rank));
        own("attention.kv_lora_rank", GgufValue.Of((uint)latent.KvRank));
        own("attention.key_length", GgufValue.Of((uint)(latent.KvRank + latent.RotatedSize)));
        own("attention.value_length", GgufValue.Of((uint)latent.KvRank));
        own("attention.key_length_mla", GgufValue.Of((uint)(latent.PlainSize + latent.RotatedSize)));
        own("attention.value_length_mla", GgufValue.Of((uint)latent.ValueSize));
        if (config.Ropes[0] is not { Kind: RopeKind.Yarn } rope) return;
        // This architecture's multiplier lies there times a tenth.
        if (rope.MscaleAllDimensions is { } share) own("rope.scaling.yarn_log_multiplier", GgufValue.Of((float)(0.1 * share)));
        own("rope.scaling.yarn_beta_fast", GgufValue.Of((float)rope.BetaFast));
        own("rope.scaling.yarn_beta_slow", GgufValue.Of((float)rope.BetaSlow));
    }

    private static void Streams(ModelConfig config, FourStreams streams, Action<string, GgufValue> own)
    {
        List<SelfAttention> attention = [.. config.Layers.Select(layer => (SelfAttention)layer.Mixer)];
        own("altup.active_idx", GgufValue.Of((uint)streams.Active));
        own("altup.num_inputs", GgufValue.Of((uint)streams.Count));
        own("embedding_length_per_layer_input", GgufValue.Of((uint)config.PerLayerInput!.Size));
        own("attention.shared_kv_layers", GgufValue.Of((uint)attention.Count(one => one.KeysOfLayer is not null)));
        own("attention.sliding_window_pattern", GgufValue.Of([.. attention.Select(one => one.Window is not null)]));
        own("activation_sparsity_scale", GgufValue.Of([.. config.Layers.Select(layer => ((DenseFeedForward)layer.FeedForward).Sparsity)
            .Select(share => share > 0 ? (float)Activations.NormalPoint(share) : float.NegativeInfinity)]));
    }
}
