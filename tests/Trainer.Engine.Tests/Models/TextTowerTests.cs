using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Adapters;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>Multimodal folders without a golden of their own: their text model computes what the text model alone does, whatever prefixes the files
/// have.</summary>
[Trait("ring", "model")]
public sealed class TextTowerTests : IDisposable
{
    private const string Sizes = """
        "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "tie_word_embeddings": false
        """;

    private readonly string _temp = Directory.CreateTempSubdirectory("text-tower-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    /// <summary>The text model alone, the model around it, whether its config is flat, and names of tensors of other towers.</summary>
    public static TheoryData<string, string, string, bool, string> Towers => new()
    {
        { """ "model_type": "qwen2", "rope_theta": 1000000.0 """, "qwen2_vl", "qwen2_vl_text", true, "visual.patch_embed.proj.weight" },
        { """ "model_type": "qwen2", "rope_theta": 1000000.0 """, "qwen2_vl", "qwen2_vl_text", false, "model.visual.patch_embed.proj.weight" },
        { """ "model_type": "llama" """, "llava_next", "llama", false, "image_newline" },
        { """ "model_type": "mistral" """, "llava_next", "mistral", false, "model.image_newline" },
        { """ "model_type": "mistral" """, "llava_next", "mistral", false, "vision_tower.x" },
        { """ "model_type": "qwen3_moe", "rope_theta": 500000.0, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": true """,
            "qwen3_vl_moe", "qwen3_vl_moe_text", false, "model.visual.blocks.0.attn.proj.weight" },
        { """ "model_type": "qwen3_moe", "rope_theta": 500000.0, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": true, "mlp_only_layers": [0] """,
            "qwen3_vl_moe", "qwen3_vl_moe_text", false, "visual.blocks.0.attn.proj.weight" },
    };

    [Theory, MemberData(nameof(Towers))]
    public void The_text_model_is_computed_and_trained_as_it_is_alone(string text, string type, string textType, bool isFlat, string tower)
    {
        RandomModel.Write(_temp, $$"""{ {{Sizes}}, {{text}} }""", perExpert: false);
        var expected = Logits(_temp);
        foreach (var (prefix, head) in new[] { ("model.language_model.", "lm_head."), ("language_model.model.", "language_model.lm_head."),
            ("model.", "lm_head.") })
        {
            using var variant = new FolderVariant(_temp).Rename(name => name.StartsWith("lm_head.", StringComparison.Ordinal)
                ? head + name["lm_head.".Length..] : prefix + name["model.".Length..]);
            if (type == "qwen3_vl_moe") Turn(variant);
            variant.Put(tower, [3], [1, 2, 3]);
            variant.Config = Around(variant.Config, type, textType, isFlat);
            var folder = variant.Write();
            // A transposed matrix is multiplied in panels, in another order.
            Assert.InRange(Golden.LargestDifference(Logits(folder), expected), 0, type == "qwen3_vl_moe" ? 1e-5 : 0);
            Assert.Equal("model.language_model", ConfigLoader.Load(folder).TextPath);
            using var model = CausalModel.Load(folder);
            Assert.Equal([tower], model.IgnoredTensors);
            AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj"]) }, 1);
            Assert.All(model.Parameters.Entries, entry => Assert.StartsWith("base_model.model.model.language_model.layers.", entry.Name,
                StringComparison.Ordinal));
        }
    }

    [Fact]
    public void What_config_json_leaves_out_is_the_class_default()
    {
        foreach (var (type, keys, theta) in new[] { ("qwen2_vl", "", 1e6), ("qwen3_vl_moe", """, "num_experts": 5, "num_experts_per_tok": 2 """, 5e5) })
        {
            File.WriteAllText(Path.Combine(_temp, "config.json"),
                $$$"""{"model_type": "{{{type}}}", "text_config": { {{{Sizes.Replace("\"tie_word_embeddings\": false", "\"x\": 0", StringComparison.Ordinal)}}}{{{keys}}} } }""");
            var config = ConfigLoader.Load(_temp);
            Assert.Equal(theta, config.Ropes[0].Theta);
            Assert.False(config.TiedEmbeddings);
            if (config.Experts is { } experts) Assert.Equal((1408, true, true), (experts.Width, experts.Router.IsNormalized, experts.IsTransposed));
        }
    }

    private static JsonObject Around(JsonObject text, string type, string textType, bool isFlat)
    {
        var own = (JsonObject)text.DeepClone();
        own["model_type"] = isFlat ? type : textType;
        if (!isFlat)
            return new JsonObject { ["model_type"] = type, ["tie_word_embeddings"] = false, ["text_config"] = own, ["vision_config"] = new JsonObject() };
        own["vision_config"] = new JsonObject { ["hidden_size"] = 5 };
        own["rope_scaling"] = new JsonObject { ["type"] = "mrope", ["mrope_section"] = new JsonArray(1, 1, 2) };
        return own;
    }

    // Its matrices lie transposed.
    private static void Turn(FolderVariant variant)
    {
        foreach (var name in variant.Names.Where(name => name.Contains(".experts.", StringComparison.Ordinal)).ToList())
        {
            var (_, shape, bytes) = variant.Take(name);
            var (from, turned) = (MemoryMarshal.Cast<byte, float>(bytes).ToArray(), new float[bytes.Length / 4]);
            var (rows, columns) = (shape[1], shape[2]);
            for (long i = 0; i < from.Length; i++)
                turned[i / (rows * columns) * rows * columns + i % columns * rows + i / columns % rows] = from[i];
            variant.Put(name, [shape[0], columns, rows], turned);
        }
    }

    private static float[] Logits(string folder)
    {
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Engine = EngineKind.Reference, Compute = ComputeKind.Float32 });
        using var logits = model.Logits(TokenBatch.OfTokens([1, 17, 90, 33, 4, 13, 77]));
        return logits.data<float>().ToArray();
    }
}
