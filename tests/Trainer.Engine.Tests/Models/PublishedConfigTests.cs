using Trainer.Models.Config;
using Trainer.Models.Families;

namespace Trainer.Engine.Tests.Models;

/// <summary>config.json as the publishers of well-known models write it (the keys that matter, and those that must do no harm).</summary>
[Trait("ring", "unit")]
public sealed class PublishedConfigTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("published-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Llama_3_2()
    {
        var config = Load("""
            {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009],
             "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false,
             "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
             "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
             "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256}
            """);
        Assert.Equal([128001, 128008, 128009], config.EosIds);
        Assert.Equal((RopeKind.Llama3, 8192), (config.Ropes[0].Kind, config.Ropes[0].OriginalMaxPositions));
        Assert.True(config.TiedEmbeddings);
        Assert.Equal("bfloat16", config.StoredType);
    }

    [Fact]
    public void Qwen_2_5_with_yarn_added()
    {
        var config = Load("""
            {"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 3584,
             "intermediate_size": 18944, "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 28, "num_hidden_layers": 28,
             "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072, "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 152064,
             "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}}
            """);
        Assert.All(config.Layers, layer => Assert.Null(layer.SlidingWindow));
        Assert.Equal((RopeKind.Yarn, 4.0, 32768), (config.Ropes[0].Kind, config.Ropes[0].Factor, config.Ropes[0].OriginalMaxPositions));
        Assert.True(config.QkvBias);
        Assert.False(config.OutputBias);
    }

    [Fact]
    public void Mistral_7B_first_version()
    {
        var config = Load("""
            {"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
             "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
             "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 32000}
            """);
        Assert.All(config.Layers, layer => Assert.Equal(4096, layer.SlidingWindow));
        Assert.Equal(128, config.HeadSize);
    }

    [Fact]
    public void Gemma_3_1B_text()
    {
        var config = Load("""
            {"architectures": ["Gemma3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid",
             "eos_token_id": [1, 106], "final_logit_softcapping": null, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912,
             "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256,
             "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144}
            """);
        Assert.Equal([5, 11, 17, 23], config.Layers.Select((layer, l) => (layer, l)).Where(pair => pair.layer.SlidingWindow is null).Select(pair => pair.l));
        Assert.All(config.Layers, layer => Assert.Equal(layer.SlidingWindow is null ? 0 : 1, layer.Rope));
        Assert.Equal((1_000_000.0, 10_000.0), (config.Ropes[0].Theta, config.Ropes[1].Theta));
        Assert.True(config.TiedEmbeddings);
        Assert.Equal(1.0 / 16, config.AttentionScale);
    }

    [Fact]
    public void Phi_4_mini()
    {
        var factors = string.Join(", ", Enumerable.Repeat("1.0", 48));
        var config = Load($$"""
            {"architectures": ["Phi3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 199999, "embd_pdrop": 0.0, "eos_token_id": 199999, "full_attn_mod": 1,
             "hidden_act": "silu", "hidden_size": 3072, "intermediate_size": 8192, "interpolate_factor": 1, "lm_head_bias": false, "max_position_embeddings": 131072, "mlp_bias": false,
             "model_type": "phi3", "num_attention_heads": 24, "num_hidden_layers": 32, "num_key_value_heads": 8, "original_max_position_embeddings": 4096, "pad_token_id": 199999,
             "partial_rotary_factor": 0.75, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05, "rope_scaling": {"long_factor": [{{factors}}], "short_factor": [{{factors}}], "type": "longrope"},
             "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": true, "use_cache": true, "vocab_size": 200064}
            """);
        Assert.Equal((96, 4096, 131072), (config.Ropes[0].Dimensions, config.Ropes[0].OriginalMaxPositions, config.Ropes[0].MaxPositions));
        Assert.True(config.FusedProjections);
    }

    [Fact]
    public void Granite_with_dropout_of_its_own()
    {
        var config = Load("""
            {"architectures": ["GraniteForCausalLM"], "attention_bias": false, "attention_dropout": 0.1, "attention_multiplier": 0.015625, "bos_token_id": 0, "embedding_multiplier": 12.0,
             "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192, "logits_scaling": 8.0, "max_position_embeddings": 131072, "mlp_bias": false,
             "model_type": "granite", "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "pad_token_id": 0, "residual_multiplier": 0.22, "rms_norm_eps": 1e-05,
             "rope_scaling": null, "rope_theta": 5000000.0, "tie_word_embeddings": true, "vocab_size": 49155}
            """);
        Assert.Equal((0.015625, 12.0, 0.22, 8.0), (config.AttentionScale, config.EmbeddingMultiplier, config.ResidualMultiplier, config.LogitDivisor));
    }

    [Fact]
    public void Gemma_3_4B_with_its_vision_tower()
    {
        var config = Load("""
            {"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999, "eoi_token_index": 256000, "eos_token_id": [1, 106], "image_token_index": 262144,
             "initializer_range": 0.02, "mm_tokens_per_image": 256, "model_type": "gemma3", "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
             "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}, "torch_dtype": "bfloat16",
             "vision_config": {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "model_type": "siglip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 27}}
            """);
        Assert.Equal(("gemma3_text", "gemma3", "model.language_model"), (config.ModelType, config.WrapperType, config.TextPath));
        Assert.Equal((8, 4, 256, 262_208), (config.Heads, config.KvHeads, config.HeadSize, config.VocabularySize));
        Assert.Equal((1_000_000.0, RopeKind.Linear, 10_000.0, RopeKind.Default),
            (config.Ropes[0].Theta, config.Ropes[0].Kind, config.Ropes[1].Theta, config.Ropes[1].Kind));
        Assert.Equal([5, 11, 17, 23, 29], config.Layers.Select((layer, l) => (layer, l)).Where(pair => pair.layer.SlidingWindow is null)
            .Select(pair => pair.l));
        Assert.True(config.TiedEmbeddings);
        Assert.Equal([1, 106], config.EosIds);
    }

    private ModelConfig Load(string json)
    {
        File.WriteAllText(Path.Combine(_folder, "config.json"), json);
        return ConfigLoader.Load(_folder);
    }
}
