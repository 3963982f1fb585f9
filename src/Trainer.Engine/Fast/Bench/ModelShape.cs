using System.Text.Json.Nodes;
using Trainer.Models.Config;

namespace Trainer.Engine.Fast.Bench;

/// <summary>The sizes of a llama-like decoder, enough to make one with random weights.</summary>
/// <param name="Name">Name on the command line.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="Layers">Layers.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads.</param>
/// <param name="HeadSize">Elements of a head.</param>
/// <param name="Wide">Width of the feed-forward block.</param>
/// <param name="Vocabulary">Rows of embedding and head.</param>
/// <param name="Tied">The head is the embedding.</param>
public sealed record ModelShape(string Name, int Hidden, int Layers, int Heads, int KvHeads, int HeadSize, int Wide, int Vocabulary, bool Tied)
{
    /// <summary>Shapes known by name.</summary>
    public static IReadOnlyList<ModelShape> Known { get; } =
    [
        new("tiny", 64, 2, 4, 2, 16, 192, 512, true),
        new("15m", 288, 6, 6, 6, 48, 768, 32000, true),
        new("134m", 768, 12, 12, 12, 64, 2048, 32000, false),
        new("llama-3.2-1b", 2048, 16, 32, 8, 64, 8192, 128256, true),
        new("llama-3.1-8b", 4096, 32, 32, 8, 128, 14336, 128256, false),
        new("llama-3.1-70b", 8192, 80, 64, 8, 128, 28672, 128256, false),
    ];

    /// <summary>Elements of the layers' matrices.</summary>
    public long LayerParameters => Layers * (2L * Hidden * Heads * HeadSize + 2L * Hidden * KvHeads * HeadSize + 3L * Hidden * Wide);

    /// <summary>The shape of that name, or null; 1b, 8b and 70b are short for the Llama 3 shapes.</summary>
    /// <param name="name">Name.</param>
    public static ModelShape? Find(string name)
        => Known.FirstOrDefault(shape => shape.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            ?? Known.FirstOrDefault(shape => shape.Name.EndsWith("-" + name, StringComparison.OrdinalIgnoreCase));

    /// <summary>The sizes of a configuration.</summary>
    /// <param name="name">Name to show.</param>
    /// <param name="config">A configuration.</param>
    public static ModelShape Of(string name, ModelConfig config) => new(
        name, config.HiddenSize, config.LayerCount, config.Heads, config.KvHeads, config.HeadSize, config.IntermediateSize, config.VocabularySize,
        config.TiedEmbeddings);

    internal string ConfigJson() => new JsonObject
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["hidden_size"] = Hidden,
        ["intermediate_size"] = Wide,
        ["num_hidden_layers"] = Layers,
        ["num_attention_heads"] = Heads,
        ["num_key_value_heads"] = KvHeads,
        ["head_dim"] = HeadSize,
        ["hidden_act"] = "silu",
        ["vocab_size"] = Vocabulary,
        ["max_position_embeddings"] = 131072,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = 500000.0,
        ["tie_word_embeddings"] = Tied,
        ["torch_dtype"] = "bfloat16",
        ["bos_token_id"] = 1,
        ["eos_token_id"] = 2,
        ["quantization_config"] = new JsonObject
        {
            ["quant_method"] = "bitsandbytes",
            ["load_in_4bit"] = true,
            ["load_in_8bit"] = false,
            ["bnb_4bit_quant_type"] = "nf4",
            ["bnb_4bit_use_double_quant"] = true,
            ["bnb_4bit_compute_dtype"] = "float32",
            ["bnb_4bit_quant_storage"] = "uint8",
        },
    }.ToJsonString();
}
