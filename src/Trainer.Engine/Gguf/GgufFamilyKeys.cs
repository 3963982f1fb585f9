using System.Text.Json;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Json;
using Trainer.Models.Config;
using Trainer.Models.Parts;

namespace Trainer.Engine.Gguf;

/// <summary>Metadata that few families have: experts, gated delta rules, layers of two kinds, queries that grow with the position.</summary>
internal static class GgufFamilyKeys
{
    /// <summary>Adds the keys of a model.</summary>
    /// <param name="config">The model.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="own">Takes a key below the architecture's name.</param>
    public static void Add(ModelConfig config, string folder, Action<string, GgufValue> own)
    {
        if (config.Experts is { } experts)
        {
            own("expert_count", GgufValue.Of((uint)experts.Experts));
            own("expert_used_count", GgufValue.Of((uint)experts.Router.Chosen));
            own("expert_feed_forward_length", GgufValue.Of((uint)experts.Width));
            if (config.ModelType is "glm4_moe" or "deepseek_v3" or "glm4_moe_lite" or "lfm2_moe" or "nemotron_h") Sigmoid(config, experts, own);
            else if (experts.Shared is { } shared) own("expert_shared_feed_forward_length", GgufValue.Of((uint)shared.Width));
        }
        GgufHybridKeys.Add(config, own);
        if (config.Layers.Select(layer => layer.Mixer).OfType<GatedDelta>().FirstOrDefault() is { } delta) Delta(config, folder, delta, own);
        if (config.ModelType == "gemma4_text") Gemma4(config, own);
        if (config.ModelType is "qwen2_vl_text" or "qwen2_5_vl_text" or "qwen3_vl_text" or "qwen3_vl_moe_text")
            own("rope.dimension_sections", GgufValue.Of(Sections(folder, config.Ropes[0].Dimensions / 2)));
        if (config.ModelType is "olmo3" || (config.ModelType is "exaone4" && config.Layers.Any(layer => layer.SlidingWindow is not null)))
            own("attention.sliding_window_pattern", GgufValue.Of([.. config.Layers.Select(layer => layer.SlidingWindow is not null)]));
        if (config.ModelType is "cohere" or "cohere2") own("logit_scale", GgufValue.Of((float)(1 / config.LogitDivisor)));
        if (config.ModelType is "cohere") own("rope.scaling.type", GgufValue.Of("none"));
        if (config.ModelType is "stablelm") own("use_parallel_residual", GgufValue.Of(config.Layers[0].IsParallel));
        if (config.Layers.Select(layer => layer.Mixer).OfType<ShortConvolution>().FirstOrDefault() is { } convolution)
            own("shortconv.l_cache", GgufValue.Of((uint)convolution.Taps));
        if (config.Attention?.Temperature is { } temperature)
        {
            own("attention.temperature_scale", GgufValue.Of((float)temperature.Slope));
            if (config.Ropes[0].MscaleAllDimensions is { } share) own("rope.scaling.yarn_log_multiplier", GgufValue.Of((float)share));
            own("rope.scaling.yarn_beta_fast", GgufValue.Of((float)config.Ropes[0].BetaFast));
            own("rope.scaling.yarn_beta_slow", GgufValue.Of((float)config.Ropes[0].BetaSlow));
        }
    }

    private static void Sigmoid(ModelConfig config, ExpertFeedForward experts, Action<string, GgufValue> own)
    {
        const uint SigmoidScores = 2;
        own("expert_gating_func", GgufValue.Of(SigmoidScores));
        if (config.ModelType is not "nemotron_h")
            own("leading_dense_block_count", GgufValue.Of((uint)config.Layers.TakeWhile(layer => layer.FeedForward is DenseFeedForward).Count()));
        if (config.ModelType is "lfm2_moe") return;
        if (config.ModelType is "nemotron_h")
        {
            own("expert_shared_count", GgufValue.Of(1u));
            own("expert_shared_feed_forward_length", GgufValue.Of((uint)experts.Shared!.Width));
            if (experts.LatentWidth is { } narrow) own("moe_latent_size", GgufValue.Of((uint)narrow));
        }
        else own("expert_shared_count", GgufValue.Of((uint)(experts.Shared!.Width / experts.Width)));
        own("expert_weights_scale", GgufValue.Of((float)experts.Router.Scale));
        own("expert_weights_norm", GgufValue.Of(experts.Router.IsNormalized));
        if (experts.Router.Groups == 1) return;
        own("expert_group_count", GgufValue.Of((uint)experts.Router.Groups));
        own("expert_group_used_count", GgufValue.Of((uint)experts.Router.ChosenGroups));
    }

    private static void Delta(ModelConfig config, string folder, GatedDelta delta, Action<string, GgufValue> own)
    {
        own("ssm.conv_kernel", GgufValue.Of((uint)delta.Taps));
        own("ssm.state_size", GgufValue.Of((uint)delta.KeySize));
        own("ssm.group_count", GgufValue.Of((uint)delta.KeyHeads));
        own("ssm.time_step_rank", GgufValue.Of((uint)delta.ValueHeads));
        own("ssm.inner_size", GgufValue.Of((uint)(delta.ValueHeads * delta.ValueSize)));
        own("full_attention_interval", GgufValue.Of((uint)GgufRefusals.Interval(config)!.Value));
        if (!delta.IsPacked) own("rope.dimension_sections", GgufValue.Of(Sections(folder, config.Ropes[0].Dimensions / 2)));
    }

    // Of text all positions of a token are the same, so only images tell how the pairs are dealt out.
    private static int[] Sections(string folder, int pairs)
    {
        using var document = PythonJson.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
        var root = document.RootElement.TryGetProperty("text_config", out var text) && text.ValueKind == JsonValueKind.Object ? text : document.RootElement;
        foreach (var key in (string[])["rope_parameters", "rope_scaling"])
        {
            if (!root.TryGetProperty(key, out var rope) || rope.ValueKind != JsonValueKind.Object || !rope.TryGetProperty("mrope_section", out var given)
                || given.ValueKind != JsonValueKind.Array) continue;
            int[] sections = [.. given.EnumerateArray().Select(item => item.TryGetInt32(out var section) ? section : 0)];
            if (sections.Length is > 0 and <= 4) return [.. sections, .. new int[4 - sections.Length]];
        }
        return [pairs, 0, 0, 0];
    }

    private static void Gemma4(ModelConfig config, Action<string, GgufValue> own)
    {
        List<SelfAttention> attention = [.. config.Layers.Select(layer => (SelfAttention)layer.Mixer)];
        own("attention.sliding_window_pattern", GgufValue.Of([.. attention.Select(one => one.Window is not null)]));
        own("attention.shared_kv_layers", GgufValue.Of((uint)attention.Count(one => one.KeysOfLayer is not null)));
        own("embedding_length_per_layer_input", GgufValue.Of((uint)(config.PerLayerInput?.Size ?? 0)));
        var sliding = attention.FirstOrDefault(one => one.Window is not null) ?? attention[0];
        own("attention.key_length_swa", GgufValue.Of((uint)sliding.HeadSize));
        own("attention.value_length_swa", GgufValue.Of((uint)sliding.HeadSize));
        own("rope.dimension_count_swa", GgufValue.Of((uint)config.Ropes[1].Dimensions));
        own("rope.freq_base_swa", GgufValue.Of((float)config.Ropes[1].Theta));
    }
}
