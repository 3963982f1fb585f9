using System.Text.Json;

namespace Trainer.Cli.Machine;

/// <summary>The config.json of a well-known size of model, for plans without a model.</summary>
internal sealed record ModelShape(string Name, string Example, string ModelType, int Hidden, int Intermediate, int Layers, int Heads, int KvHeads,
    int Vocabulary, bool Tied)
{
    public static readonly IReadOnlyList<ModelShape> All =
    [
        new("0.5B", "Qwen/Qwen2.5-0.5B-Instruct", "qwen2", 896, 4864, 24, 14, 2, 151936, true),
        new("1B", "meta-llama/Llama-3.2-1B-Instruct", "llama", 2048, 8192, 16, 32, 8, 128256, true),
        new("3B", "meta-llama/Llama-3.2-3B-Instruct", "llama", 3072, 8192, 28, 24, 8, 128256, true),
        new("7B", "mistralai/Mistral-7B-Instruct-v0.3", "mistral", 4096, 14336, 32, 32, 8, 32768, false),
        new("8B", "NousResearch/Hermes-3-Llama-3.1-8B", "llama", 4096, 14336, 32, 32, 8, 128256, false),
        new("14B", "Qwen/Qwen2.5-14B-Instruct", "qwen2", 5120, 13824, 48, 40, 8, 152064, false),
        new("32B", "Qwen/Qwen2.5-32B-Instruct", "qwen2", 5120, 27648, 64, 40, 8, 152064, false),
        new("70B", "NousResearch/Hermes-3-Llama-3.1-70B", "llama", 8192, 28672, 80, 64, 8, 128256, false),
    ];

    /// <summary>A folder with the config.json; it goes away when disposed.</summary>
    public ShapeFolder Write()
    {
        var folder = Directory.CreateTempSubdirectory("trainer-shape-").FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["model_type"] = ModelType, ["hidden_size"] = Hidden, ["intermediate_size"] = Intermediate, ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KvHeads, ["vocab_size"] = Vocabulary, ["tie_word_embeddings"] = Tied, ["rms_norm_eps"] = 1e-5, ["rope_theta"] = 500000.0,
            ["max_position_embeddings"] = 131072, ["hidden_act"] = "silu", ["torch_dtype"] = "bfloat16",
        }));
        return new ShapeFolder(folder);
    }

    /// <summary>A temporary folder.</summary>
    internal sealed class ShapeFolder(string path) : IDisposable
    {
        public string Path { get; } = path;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
