using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

/// <summary>Experts in MXFP4, as gpt-oss is published, as the source of an NF4 folder.</summary>
[Trait("ring", "model")]
public sealed unsafe class Mxfp4QuantizeTests : IDisposable
{
    private const string Config = """
        {"model_type": "gpt_oss", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
         "max_position_embeddings": 128, "num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 32, "sliding_window": 8,
         "tie_word_embeddings": false}
        """;

    private readonly string _temp = Directory.CreateTempSubdirectory("mxfp4-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Fact]
    public void Experts_have_the_codes_of_the_values_that_mxfp4_says()
    {
        using var variant = Variant(out var expected);
        var folder = variant.Write();
        var made = Path.Combine(_temp, "made");
        var report = ModelQuantizer.Quantize(folder, made, new QuantizeOptions { DoubleQuantize = false });
        Assert.Equal(2 * (4 + 3 * 3), report.Quantized);
        using var model = CausalModel.Load(made, new ModelLoadOptions());
        using var right = new FolderVariant(folder);
        right.Rename(name => name.EndsWith("_blocks", StringComparison.Ordinal) || name.EndsWith("_scales", StringComparison.Ordinal) ? null : name);
        right.Config.Remove("quantization_config");
        foreach (var (name, (shape, values)) in expected) right.Put(name, shape, values);
        using var plain = CausalModel.Load(right.Write(), new ModelLoadOptions { Quantize = QuantizeKind.Nf4, DoubleQuantize = false });
        Assert.Equal(6, model.Experts.Sum(experts => experts.Experts.Count));
        foreach (var (mine, others) in model.Experts.Zip(plain.Experts))
        {
            foreach (var (one, other) in mine.Experts.Zip(others.Experts))
            {
                Assert.Equal(Values(other.GateUp), Values(one.GateUp));
                Assert.Equal(Values(other.Down), Values(one.Down));
            }
        }
        var batch = TokenBatch.OfTokens([1, 5, 9, 2]);
        using TorchSharp.torch.Tensor a = model.Logits(batch), b = plain.Logits(batch);
        Assert.Equal(b.data<float>().ToArray(), a.data<float>().ToArray());
    }

    [Fact]
    public void Work_that_was_broken_off_goes_on()
    {
        using var variant = Variant(out _);
        var folder = variant.Write();
        string whole = Path.Combine(_temp, "whole"), parts = Path.Combine(_temp, "parts");
        var options = new QuantizeOptions { MaxShardBytes = 6_000 };
        ModelQuantizer.Quantize(folder, whole, options);
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => ModelQuantizer.Quantize(folder, parts, options with
        {
            Progress = (done, total) =>
            {
                if (done > total / 2) stop.Cancel();
            },
        }, stop.Token));
        ModelQuantizer.Quantize(folder, parts, options);
        foreach (var file in Directory.GetFiles(whole)) Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(parts, Path.GetFileName(file))));
    }

    [Theory]
    [InlineData("model.layers.1.mlp.experts.down_proj_scales")]
    [InlineData("model.layers.0.mlp.experts.gate_up_proj_blocks")]
    public void Fewer_experts_than_config_says_are_refused_by_tensor(string tensor)
    {
        using var variant = Variant(out _);
        var (dtype, shape, bytes) = variant.Take(tensor);
        variant.Put(tensor, dtype, [shape[0] - 1, .. shape[1..]], bytes[..(int)(bytes.Length / 3 * 2)]);
        var target = Path.Combine(_temp, "made");
        var fault = Assert.Throws<ModelException>(() => ModelQuantizer.Quantize(variant.Write(), target, new QuantizeOptions()));
        Assert.Contains(tensor, fault.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(target));
    }

    // Random codes, and the values by the definition of the format, as the dense tensors lie: [experts, in, out].
    private static FolderVariant Variant(out Dictionary<string, (long[] Shape, float[] Values)> expected)
    {
        float[] table = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6];
        var source = Directory.CreateTempSubdirectory("mxfp4-source-").FullName;
        RandomModel.Write(source, Config, perExpert: false);
        var variant = new FolderVariant(source);
        Directory.Delete(source, recursive: true);
        var random = new Random(5);
        expected = [];
        foreach (var name in variant.Names.Where(name => name.Contains(".experts.", StringComparison.Ordinal)
            && name.EndsWith("_proj", StringComparison.Ordinal)))
        {
            var shape = variant.Take(name).Shape;
            var (experts, columns, rows) = ((int)shape[0], (int)shape[1], (int)shape[2]);
            var count = experts * rows * columns;
            var (blocks, scales, values) = (new byte[count / 2], new byte[count / 32], new float[count]);
            random.NextBytes(blocks);
            for (var i = 0; i < scales.Length; i++) scales[i] = (byte)random.Next(119, 124);
            for (var at = 0; at < values.Length; at++)
            {
                var (e, row, column) = (at / (rows * columns), at / columns % rows, at % columns);
                var code = at % 2 == 0 ? blocks[at / 2] & 15 : blocks[at / 2] >> 4;
                values[(e * columns + column) * rows + row] = table[code] * MathF.Pow(2, scales[at / 32] - 127);
            }
            variant.Put(name + "_blocks", SafetensorsDtype.U8, [experts, rows, columns / 32, 16], blocks);
            variant.Put(name + "_scales", SafetensorsDtype.U8, [experts, rows, columns / 32], scales);
            expected[name] = ([experts, columns, rows], values);
        }
        variant.Config["quantization_config"] = System.Text.Json.Nodes.JsonNode.Parse("""
            {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
            """);
        return variant;
    }

    private static float[] Values(IFrozenWeight weight)
    {
        var values = new float[weight.Rows * weight.Columns];
        fixed (float* destination = values) weight.Materialize(0, weight.Rows, destination);
        return values;
    }
}
