using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

/// <summary>Folders of the newer kinds whose parts disagree: one line with file, key or tensor. And what looks wrong and is not.</summary>
[Trait("ring", "model")]
public sealed class BadFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bad-folder-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(EngineKind.Reference)]
    [InlineData(EngineKind.Auto)]
    public void A_tie_of_two_experts_is_broken_the_same_way_each_time(EngineKind engine)
    {
        RandomModel.Write(_folder, RandomModel.Mixture);
        using (var variant = new FolderVariant(_folder))
        {
            // All experts score alike for every token.
            foreach (var name in variant.Names.Where(name => name.EndsWith("mlp.gate.weight", StringComparison.Ordinal)).ToList())
            {
                var (_, shape, bytes) = variant.Take(name);
                variant.Put(name, shape, new float[bytes.Length / 4]);
            }
            foreach (var file in Directory.GetFiles(variant.Write())) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)), overwrite: true);
        }
        var first = Losses(engine);
        Assert.All(first, loss => Assert.True(float.IsFinite(loss)));
        Assert.Equal(first, Losses(engine));
    }

    [Theory]
    [InlineData("gemma3_wrapper", "vision_tower.")]
    [InlineData("gemma3_wrapper", "multi_modal_projector.")]
    [InlineData("qwen3_5_wrapper", "model.visual.")]
    [InlineData("qwen3_5_wrapper", "mtp.")]
    public void A_tower_that_is_missing_is_missed_by_nobody(string name, string tower)
    {
        using var variant = new FolderVariant(Golden.Folder(name)).Rename(stored => stored.StartsWith(tower, StringComparison.Ordinal) ? null : stored);
        using CausalModel without = Load(variant.Write()), whole = Load(Golden.Folder(name));
        using var here = without.Logits(TokenBatch.OfTokens([1, 2, 3]));
        using var there = whole.Logits(TokenBatch.OfTokens([1, 2, 3]));
        Assert.Equal(there.data<float>().ToArray(), here.data<float>().ToArray());
    }

    [Theory]
    [InlineData("gemma3_wrapper", "text_config", "text_config")]
    [InlineData("qwen3_5_wrapper", "text_config.num_hidden_layers", "num_hidden_layers")]
    public void A_text_model_that_is_missing_from_the_config_is_named(string name, string key, string named)
    {
        using var variant = new FolderVariant(Golden.Folder(name));
        if (key == "text_config") variant.Config.Remove(key);
        else variant.Text.Remove(key["text_config.".Length..]);
        Refused(variant, named, "config.json");
    }

    [Fact]
    public void A_text_model_without_its_tensors_is_named()
    {
        using var variant = new FolderVariant(Golden.Folder("gemma3_wrapper")).Rename(
            stored => stored.StartsWith("language_model.model.layers.1.", StringComparison.Ordinal) ? null : stored);
        Refused(variant, "model.language_model.layers.1.", "is missing");
    }

    [Theory]
    [InlineData("text_config.num_key_value_heads", "3", "num_key_value_heads")]
    [InlineData("text_config.layer_types", "[\"sliding_attention\"]", "layer_types")]
    [InlineData("text_config.layer_types", "[\"sliding_attention\",\"moon_attention\",\"full_attention\",\"sliding_attention\"]", "layer_types")]
    [InlineData("text_config.vocab_size", "255", "embed_tokens.weight")]
    [InlineData("text_config.head_dim", "24", "self_attn.")]
    public void A_wrapper_whose_config_and_tensors_disagree_is_refused(string key, string value, string named)
    {
        using var variant = new FolderVariant(Golden.Folder("gemma3_wrapper"));
        variant.Text[key["text_config.".Length..]] = JsonNode.Parse(value);
        Refused(variant, named);
    }

    [Theory]
    [InlineData("../model-2.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("deeper/model.safetensors")]
    public void An_index_that_names_a_file_outside_is_refused(string shard)
    {
        RandomModel.Write(_folder, RandomModel.Mixture);
        File.Move(Path.Combine(_folder, ShardedModel.SingleFile), Path.Combine(_folder, "model-1.safetensors"));
        File.WriteAllText(Path.Combine(_folder, ShardedModel.IndexFile),
            new JsonObject { ["weight_map"] = new JsonObject { ["model.norm.weight"] = "model-1.safetensors", ["lm_head.weight"] = shard } }.ToJsonString());
        var fault = Assert.Throws<ModelException>(() => Load(_folder).Dispose()).Message;
        Assert.Contains(shard, fault, StringComparison.Ordinal);
        Assert.Contains("refusing to look elsewhere", fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("quant_method", "\"spqr\"", "'spqr'")]
    [InlineData("quant_method", "\"bitnet\"", "'bitnet'")]
    [InlineData("bits", "5", "bits")]
    [InlineData("bits", "16", "bits")]
    [InlineData("checkpoint_format", "\"marlin\"", "checkpoint_format")]
    [InlineData("group_size", "0", "group_size")]
    [InlineData("group_size", "7", "scales")]
    public void A_quantization_that_is_not_read_is_refused_by_its_key(string key, string value, string named)
    {
        using var variant = new FolderVariant(Path.Combine(Golden.Fixtures, "quantized", "gptq4_act_order"));
        variant.Config["quantization_config"]![key] = JsonNode.Parse(value);
        Refused(variant, named);
    }

    [Theory]
    [InlineData("gptq4_act_order", "scales")]
    [InlineData("awq4_gemm", "scales")]
    [InlineData("awq4_gemm", "qzeros")]
    [InlineData("ct_int4_sym", "weight_scale")]
    [InlineData("ct_fp8_channel", "weight_scale")]
    public void Scales_of_another_shape_are_refused_by_tensor(string name, string part)
    {
        using var variant = new FolderVariant(Path.Combine(Golden.Fixtures, "quantized", name));
        var tensor = $"model.layers.0.self_attn.q_proj.{part}";
        var (dtype, shape, bytes) = variant.Take(tensor);
        variant.Put(tensor, dtype, [shape[0] - 1, .. shape[1..]], bytes[..(int)(bytes.Length / shape[0] * (shape[0] - 1))]);
        Refused(variant, tensor);
    }

    [Theory]
    [InlineData("gptq4_act_order", "scales", 0x7E00)]
    [InlineData("awq4_gemm", "scales", 0x7C00)]
    [InlineData("ct_int4_sym", "weight_scale", 0x7FC0)]
    [InlineData("ct_fp8_channel", "weight_scale", 0x7F80)]
    public void Scales_that_are_no_numbers_are_refused_by_tensor(string name, string part, int bits)
    {
        using var variant = new FolderVariant(Path.Combine(Golden.Fixtures, "quantized", name));
        var tensor = $"model.layers.0.self_attn.q_proj.{part}";
        var (dtype, shape, bytes) = variant.Take(tensor);
        BitConverter.TryWriteBytes(bytes.AsSpan(4), (ushort)bits);
        variant.Put(tensor, dtype, shape, bytes);
        Refused(variant, tensor);
    }

    private void Refused(FolderVariant variant, params string[] named)
    {
        var folder = variant.Write();
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None }).Dispose()).Message;
        Assert.All(named, text => Assert.Contains(text, fault, StringComparison.Ordinal));
        Assert.DoesNotContain('\n', fault);
    }

    private float[] Losses(EngineKind engine)
    {
        using var model = CausalModel.Load(_folder, new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = engine });
        int[] ids = [1, 5, 9, 2, 7, 7, 3];
        return model.TokenLosses(TokenBatch.OfRows([(ids, ids)]));
    }

    private static CausalModel Load(string folder)
        => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None, Compute = ComputeKind.Float32, Engine = EngineKind.Reference });
}
