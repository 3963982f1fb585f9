using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Trainer.Models;
using Trainer.Models.Config;

namespace Trainer.Engine.Tests.Models;

/// <summary>Golden models in the other forms in which people have such folders: the same numbers give the same logits, to the last bit.</summary>
[Trait("ring", "slow")]
public partial class FolderVariantTests
{
    private static readonly int[] Tokens = [1, 17, 90, 33, 4, 200, 13, 77, 5, 61, 142, 8];

    [SkippableTheory]
    [InlineData("gemma3_wrapper")]
    [InlineData("llava")]
    [InlineData("mistral3_mistral")]
    [InlineData("mistral3_ministral3")]
    [InlineData("qwen2_5_vl")]
    [InlineData("qwen3_5_wrapper")]
    [InlineData("qwen3_5_moe_wrapper")]
    public void Multimodal_folders_may_have_the_older_or_the_newer_prefixes(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        var expected = Logits(folder);
        foreach (var (text, head, tower) in new[] { ("language_model.model.", "language_model.lm_head.", ""), ("model.language_model.", "lm_head.", "model."),
            ("language_model.model.", "lm_head.", "model."), ("model.language_model.", "language_model.lm_head.", "") })
        {
            using var variant = new FolderVariant(folder).Rename(stored => stored.StartsWith("mtp.", StringComparison.Ordinal) ? stored
                : TensorNames.OfTextModel(stored) is var plain && plain.StartsWith("model.", StringComparison.Ordinal) ? text + plain["model.".Length..]
                : plain.StartsWith("lm_head.", StringComparison.Ordinal) ? head + plain["lm_head.".Length..] : tower + plain);
            Assert.Equal(expected, Logits(variant.Write()));
        }
    }

    [SkippableTheory]
    [InlineData("gemma3_wrapper")]
    [InlineData("llava")]
    [InlineData("mistral3_mistral")]
    [InlineData("mistral3_ministral3")]
    [InlineData("qwen3_5_wrapper")]
    [InlineData("qwen3_5_moe_wrapper")]
    public void The_text_model_of_a_multimodal_folder_is_a_folder_of_its_own(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        var expected = Logits(folder);
        using var variant = new FolderVariant(folder).Rename(stored => IsTower(stored) ? null : TensorNames.OfTextModel(stored));
        var isTied = variant.Config["tie_word_embeddings"]!.GetValue<bool>();
        variant.Config = (JsonObject)variant.Text.DeepClone();
        variant.Config["tie_word_embeddings"] = isTied;
        Assert.Equal(expected, Logits(variant.Write()));
    }

    [SkippableFact]
    public void A_flat_config_may_be_nested()
    {
        var folder = ReferenceData.Transformers("models", "qwen2_5_vl");
        using var variant = new FolderVariant(folder);
        string[] top = ["architectures", "image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id", "vision_config",
            "transformers_version", "model_type", "tie_word_embeddings", "torch_dtype"];
        var text = new JsonObject { ["model_type"] = "qwen2_5_vl_text" };
        foreach (var (key, value) in variant.Config.ToList())
        {
            if (top.Contains(key)) continue;
            variant.Config.Remove(key);
            text[key] = value?.DeepClone();
        }
        variant.Config["text_config"] = text;
        Assert.Equal(Logits(folder), Logits(variant.Write()));
    }

    [SkippableTheory]
    [InlineData("gemma3_wrapper")]
    [InlineData("gemma4_e2b")]
    [InlineData("qwen3_5_wrapper")]
    public void Layer_types_that_follow_from_their_interval_may_be_left_out(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        using var variant = new FolderVariant(folder);
        var types = (JsonArray)variant.Text["layer_types"]!;
        var full = types.Select((kind, layer) => (Kind: kind!.GetValue<string>(), layer)).First(pair => pair.Kind == "full_attention").layer + 1;
        if (Enumerable.Range(0, types.Count).Any(l => types[l]!.GetValue<string>() == "full_attention" != ((l + 1) % full == 0))) return;
        variant.Text.Remove("layer_types");
        variant.Text[name.StartsWith("qwen", StringComparison.Ordinal) ? "full_attention_interval" : "sliding_window_pattern"] = full;
        variant.Text.Remove("_sliding_window_pattern");
        if (name == "gemma4_e2b" && full != 6) return;
        Assert.Equal(Logits(folder), Logits(variant.Write()));
    }

    [SkippableTheory]
    [InlineData("qwen3_moe")]
    [InlineData("qwen2_moe")]
    [InlineData("olmoe")]
    [InlineData("mixtral")]
    [InlineData("qwen3_next")]
    [InlineData("glm4_moe")]
    [InlineData("deepseek_v3")]
    [InlineData("glm4_moe_lite")]
    public void Experts_of_their_own_may_lie_in_one_tensor(string name)
    {
        var folder = ReferenceData.Transformers("models", name);
        using var variant = new FolderVariant(folder);
        foreach (var block in variant.Names.Select(stored => SingleExpert().Match(stored)).Where(match => match.Success).GroupBy(match => match.Groups[1].Value)
            .ToList())
        {
            string[] names = block.Any(match => match.Groups[3].Value == "w1") ? ["w1", "w3", "w2"] : ["gate_proj", "up_proj", "down_proj"];
            var count = block.Max(match => int.Parse(match.Groups[2].Value)) + 1;
            List<float> gateUp = [], down = [];
            var shape = new long[2];
            for (var expert = 0; expert < count; expert++)
            {
                gateUp.AddRange(variant.TakeFloats($"{block.Key}.{expert}.{names[0]}.weight"));
                gateUp.AddRange(variant.TakeFloats($"{block.Key}.{expert}.{names[1]}.weight"));
                var (_, own, bytes) = variant.Take($"{block.Key}.{expert}.{names[2]}.weight");
                shape = own;
                down.AddRange(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray());
            }
            variant.Put($"{block.Key}.gate_up_proj", [count, 2 * shape[1], shape[0]], [.. gateUp]).Put($"{block.Key}.down_proj", [count, shape[0], shape[1]],
                [.. down]);
        }
        // Products of another width add up in another order.
        Assert.InRange(Golden.LargestDifference(Logits(variant.Write()), Logits(folder)), 0, 1e-5);
    }

    [SkippableTheory]
    [InlineData("qwen3_5_moe_wrapper", "experts", "gate_up_proj", "down_proj", false)]
    [InlineData("gemma4_moe", "experts", "gate_up_proj", "down_proj", false)]
    [InlineData("granitemoe", "block_sparse_moe", "input_linear.weight", "output_linear.weight", false)]
    [InlineData("llama4_text", "experts", "gate_up_proj", "down_proj", true)]
    public void Experts_in_one_tensor_may_have_tensors_of_their_own(string name, string module, string gateUp, string down, bool isTransposed)
    {
        var folder = ReferenceData.Transformers("models", name);
        using var variant = new FolderVariant(folder);
        foreach (var stored in variant.Names.Where(stored => stored.EndsWith($"{module}.{gateUp}", StringComparison.Ordinal)).ToList())
        {
            var path = stored[..^(gateUp.Length + 1)];
            var (_, shape, bytes) = variant.Take(stored);
            var both = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray();
            var downs = variant.TakeFloats($"{path}.{down}");
            var (count, hidden, wide) = ((int)shape[0], (int)shape[isTransposed ? 1 : 2], (int)shape[isTransposed ? 2 : 1] / 2);
            for (var expert = 0; expert < count; expert++)
            {
                var one = both.AsSpan(expert * 2 * wide * hidden, 2 * wide * hidden).ToArray();
                var two = downs.AsSpan(expert * wide * hidden, wide * hidden).ToArray();
                if (isTransposed) (one, two) = (Turned(one, hidden, 2 * wide), Turned(two, wide, hidden));
                variant.Put($"{path}.{expert}.gate_proj.weight", [wide, hidden], one[..(wide * hidden)])
                    .Put($"{path}.{expert}.up_proj.weight", [wide, hidden], one[(wide * hidden)..])
                    .Put($"{path}.{expert}.down_proj.weight", [hidden, wide], two);
            }
        }
        var (expected, found) = (Logits(folder), Logits(variant.Write()));
        Assert.InRange(Golden.LargestDifference(found, expected), 0, 1e-5);
    }

    [SkippableTheory]
    [InlineData("qwen3_moe", "mlp_only_layers")]
    [InlineData("qwen3_moe", "decoder_sparse_step")]
    public void A_dense_layer_among_sparse_ones_is_one_whose_experts_are_all_alike(string name, string key)
    {
        var folder = ReferenceData.Transformers("models", name);
        using FolderVariant alike = new(folder), dense = new(folder);
        // Layer 0 is dense in either way of saying so; what all its experts have is what its block has.
        foreach (var part in (string[])["gate_proj", "up_proj", "down_proj"])
        {
            var (dtype, shape, bytes) = dense.Take($"model.layers.0.mlp.experts.3.{part}.weight");
            dense.Put($"model.layers.0.mlp.{part}.weight", dtype, shape, bytes);
            for (var expert = 0; expert < 8; expert++)
            {
                _ = alike.Take($"model.layers.0.mlp.experts.{expert}.{part}.weight");
                alike.Put($"model.layers.0.mlp.experts.{expert}.{part}.weight", dtype, shape, bytes);
            }
        }
        dense.Rename(stored => stored.StartsWith("model.layers.0.mlp.experts.", StringComparison.Ordinal) || stored == "model.layers.0.mlp.gate.weight"
            ? null : stored);
        dense.Config["intermediate_size"] = dense.Config["moe_intermediate_size"]!.DeepClone();
        if (key == "mlp_only_layers") dense.Config[key] = new JsonArray(0);
        else (dense.Config[key], dense.Config["mlp_only_layers"]) = (2, new JsonArray());
        var (expected, found) = (Logits(alike.Write()), Logits(dense.Write()));
        Assert.InRange(Golden.LargestDifference(found, expected), 0, 1e-4);
    }

    [SkippableFact]
    public void Lfm2_with_experts_that_are_all_alike_is_Lfm2()
    {
        var folder = ReferenceData.Transformers("models", "lfm2");
        using var variant = new FolderVariant(folder);
        var random = new Random(3);
        // The first layer is dense, whose width stands as it is.
        foreach (var key in (string[])["block_auto_adjust_ff_dim", "block_ffn_dim_multiplier", "block_multiple_of", "full_attn_idxs"])
            variant.Config.Remove(key);
        (variant.Config["model_type"], variant.Config["intermediate_size"], variant.Config["moe_intermediate_size"]) = ("lfm2_moe", 64, 64);
        (variant.Config["num_dense_layers"], variant.Config["num_experts"], variant.Config["num_experts_per_tok"]) = (1, 4, 2);
        (variant.Config["norm_topk_prob"], variant.Config["use_expert_bias"], variant.Config["routed_scaling_factor"]) = (true, true, 1.0);
        for (var layer = 1; layer < 4; layer++)
        {
            var path = $"model.layers.{layer}.feed_forward";
            foreach (var part in (string[])["w1", "w3", "w2"])
            {
                var (dtype, shape, bytes) = variant.Take($"{path}.{part}.weight");
                for (var expert = 0; expert < 4; expert++) variant.Put($"{path}.experts.{expert}.{part}.weight", dtype, shape, bytes);
            }
            variant.Put($"{path}.gate.weight", [4, 48], [.. Enumerable.Range(0, 4 * 48).Select(_ => (float)random.NextDouble() - 0.5f)]);
            variant.Put($"{path}.expert_bias", [4], [0.3f, -0.1f, 0, 0.2f]);
        }
        // Scores are divided by their sum and a millionth.
        Assert.InRange(Golden.LargestDifference(Logits(variant.Write()), Logits(folder)), 0, 1e-4);
        variant.Config["routed_scaling_factor"] = 2.0;
        File.WriteAllText(Path.Combine(variant.Folder, "config.json"), variant.Config.ToJsonString());
        Assert.True(Golden.LargestDifference(Logits(variant.Folder), Logits(folder)) > 0.1);
    }

    private static bool IsTower(string stored)
        => stored.StartsWith("mtp.", StringComparison.Ordinal) || stored.Contains("vis", StringComparison.Ordinal)
            || stored.Contains("multi_modal", StringComparison.Ordinal);

    private static float[] Turned(float[] values, int rows, int columns)
    {
        var turned = new float[values.Length];
        for (var row = 0; row < rows; row++)
            for (var column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column];
        return turned;
    }

    private static float[] Logits(string folder)
    {
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None, Engine = EngineKind.Reference });
        using var logits = model.Logits(TokenBatch.OfTokens(Tokens));
        return logits.data<float>().ToArray();
    }

    [GeneratedRegex("^(.+\\.experts)\\.([0-9]+)\\.(w[123]|gate_proj|up_proj|down_proj)\\.weight$")]
    private static partial Regex SingleExpert();
}
