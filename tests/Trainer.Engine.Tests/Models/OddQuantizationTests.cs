using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

/// <summary>Quantized folders that no tool wrote: random codes in every layout that is read, against values worked out from the codes themselves.</summary>
[Trait("ring", "model")]
public sealed unsafe class OddQuantizationTests : IDisposable
{
    private const string Config = """
        {"model_type": "llama", "vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
        """;
    private const string Packed = "\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", \"quantization_status\": \"compressed\"";

    private static readonly Dictionary<string, (string Config, Func<OddCodes, string, int, int, float[]?> Make)> Kinds = new()
    {
        ["gptq 2"] = (Gptq(2, 32), (codes, _, _, _) => codes.Gptq(2, 32, false, false)),
        ["gptq 3"] = (Gptq(3, 32), (codes, _, _, _) => codes.Gptq(3, 32, false, false)),
        ["gptq 3 sorted"] = (Gptq(3, 32, "gptq_v2"), (codes, _, _, _) => codes.Gptq(3, 32, true, true)),
        ["gptq 4 v2"] = (Gptq(4, 32, "gptq_v2"), (codes, _, _, _) => codes.Gptq(4, 32, true, false)),
        ["gptq 4 whole rows"] = (Gptq(4, -1), (codes, _, _, _) => codes.Gptq(4, -1, false, false)),
        ["gptq 8 sorted"] = (Gptq(8, 32), (codes, _, _, _) => codes.Gptq(8, 32, false, true)),
        ["gptq 8 of 128"] = (Gptq(8, 128), (codes, _, _, _) => codes.Gptq(8, 128, false, false)),
        ["gptq by module"] = ("{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32, \"dynamic\": {\"-:.*q_proj\": {}, "
            + "\"+:.*\\\\.mlp\\\\.down\": {\"bits\": 8, \"group_size\": 16}, \"model.layers.1.self_attn.o\": {\"bits\": 2}}}",
            (codes, path, _, _) => path.EndsWith("q_proj", StringComparison.Ordinal) ? null : path.Contains("down", StringComparison.Ordinal)
                ? codes.Gptq(8, 16, false, false) : codes.Gptq(path == "model.layers.1.self_attn.o_proj" ? 2 : 4, 32, false, false)),
        ["awq gemv 32"] = ("{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32, \"version\": \"gemv\", \"zero_point\": true}",
            (codes, _, _, _) => codes.AwqGemv(32)),
        ["ct 4 symmetric rows"] = (Ct(Packed, "channel", 4), (codes, _, _, _) => codes.Integers(4, 0, true, false, false)),
        ["ct 4 with zeros"] = (Ct(Packed, "group", 4, 32), (codes, _, _, _) => codes.Integers(4, 32, true, true, false)),
        ["ct 4 of 64"] = (Ct(Packed, "group", 4, 64), (codes, _, _, _) => codes.Integers(4, 64, true, true, false)),
        ["ct 4 of 128"] = (Ct(Packed, "group", 4, 128), (codes, _, _, _) => codes.Integers(4, 128, true, true, false)),
        ["ct 4 sorted"] = (Ct(Packed, "group", 4, 16), (codes, _, _, _) => codes.Integers(4, 16, true, true, true)),
        ["ct 4 one scale"] = (Ct(Packed, "tensor", 4), (codes, _, _, _) => codes.Integers(4, -1, true, false, false)),
        ["ct 8 packed"] = (Ct(Packed, "group", 8, 32), (codes, _, _, _) => codes.Integers(8, 32, true, true, false)),
        ["ct 2 packed"] = (Ct(Packed, "group", 2, 32), (codes, _, _, _) => codes.Integers(2, 32, true, true, false)),
        ["ct int8 rows"] = (Ct(Int8, "channel", 8), (codes, _, _, _) => codes.Integers(8, 0, false, false, false)),
        ["ct int8 with zeros"] = (Ct(Int8, "channel", 8), (codes, _, _, _) => codes.Integers(8, 0, false, true, false)),
        ["ct int8 one scale"] = (Ct(Int8, "tensor", 8), (codes, _, _, _) => codes.Integers(8, -1, false, true, false)),
        ["ct groups of modules"] = ("{" + Packed + """
            , "ignore": ["lm_head", "re:.*k_proj$"], "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": true}},
            "group_1": {"targets": ["re:.*self_attn.*"], "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": true}},
            "group_2": {"targets": ["model.layers.1.mlp.down_proj"], "format": "float-quantized",
              "weights": {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": true}}}}
            """, (codes, path, rows, columns) => path.EndsWith("k_proj", StringComparison.Ordinal) ? null
            : path == "model.layers.1.mlp.down_proj" ? codes.Floats("weight_scale", SafetensorsDtype.F32, [1], rows, columns)
            : path.Contains("self_attn", StringComparison.Ordinal) ? codes.Integers(8, 0, true, false, false) : codes.Integers(4, 32, true, false, false)),
        ["ct fp8 groups"] = (Ct(Fp8, "group", 8, 32, "float"),
            (codes, _, rows, columns) => codes.Floats("weight_scale", SafetensorsDtype.BF16, [rows, columns / 32], 1, 32)),
        ["ct fp8 blocks"] = (Ct(Fp8, "block", 8, null, "float", "[48, 40]"),
            (codes, _, rows, columns) => codes.Floats("weight_scale", SafetensorsDtype.BF16, [(rows + 47) / 48, (columns + 39) / 40], 48, 40)),
        ["ct fp8 one scale"] = (Ct(Fp8, "tensor", 8, null, "float"),
            (codes, _, rows, columns) => codes.Floats("weight_scale", SafetensorsDtype.BF16, [1], rows, columns)),
        ["fp8 edges"] = ("{\"quant_method\": \"fp8\", \"weight_block_size\": [48, 40], \"activation_scheme\": \"dynamic\", "
            + "\"modules_to_not_convert\": [\"lm_head\"]}",
            (codes, _, rows, columns) => codes.Floats("weight_scale_inv", SafetensorsDtype.F32, [(rows + 47) / 48, (columns + 39) / 40], 48, 40)),
        ["fp8 exponents"] = ("{\"quant_method\": \"fp8\", \"weight_block_size\": [32, 32], \"scale_fmt\": \"ue8m0\"}",
            (codes, _, rows, columns) => codes.Floats("weight_scale_inv", SafetensorsDtype.F8E8M0, [(rows + 31) / 32, (columns + 31) / 32], 32, 32)),
        ["fbgemm"] = ("{\"quant_method\": \"fbgemm_fp8\", \"activation_scale_ub\": 1200.0, \"modules_to_not_convert\": [\"lm_head\"]}",
            (codes, path, rows, columns) => path.Contains("up_proj", StringComparison.Ordinal) ? null
                : codes.Floats("weight_scale", SafetensorsDtype.F32, [rows, 1], 1, columns)),
        ["bitsandbytes int8"] = ("{\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true, \"load_in_4bit\": false, "
            + "\"llm_int8_skip_modules\": [\"v_proj\"]}",
            (codes, path, _, _) => path.EndsWith("v_proj", StringComparison.Ordinal) ? null : codes.BnbInt8()),
        ["bitsandbytes fp4"] = ("{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_quant_type\": \"fp4\"}",
            (codes, path, _, _) => path.Contains("gate", StringComparison.Ordinal) ? null : codes.BnbFp4(64, false)),
        ["bitsandbytes fp4 nested"] = ("{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_quant_type\": \"fp4\", "
            + "\"bnb_4bit_use_double_quant\": true}", (codes, _, _, _) => codes.BnbFp4(128, true)),
    };

    private const string Int8 = "\"quant_method\": \"compressed-tensors\", \"format\": \"int-quantized\"";
    private const string Fp8 = "\"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\"";

    private readonly string _temp = Directory.CreateTempSubdirectory("odd-codes-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Values_are_those_of_the_codes_to_the_last_bit(string kind)
    {
        using var variant = Variant(kind, out var expected);
        var folder = variant.Write();
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None });
        using var tensors = BaseTensors.Open(folder);
        foreach (var linear in model.Linears.Append(model.Head).Where(linear => expected.ContainsKey(linear.Name + ".weight")))
        {
            var (right, mine) = (expected[linear.Name + ".weight"], new float[linear.Weight.Rows * linear.Weight.Columns]);
            linear.Weight.Materialize(0, linear.Weight.Rows, mine);
            Assert.Equal(right, mine);
            tensors.Read(linear.Name + ".weight", 0, mine);
            Assert.Equal(right, mine);
        }
        Assert.DoesNotContain(tensors.Names, name => !name.EndsWith(".weight", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("gptq 3 sorted")]
    [InlineData("awq gemv 32")]
    [InlineData("ct groups of modules")]
    [InlineData("ct int8 with zeros")]
    [InlineData("fp8 edges")]
    [InlineData("bitsandbytes int8")]
    [InlineData("bitsandbytes fp4 nested")]
    public void A_folder_in_codes_becomes_the_nf4_folder_of_its_values(string kind)
    {
        using var coded = Variant(kind, out var expected);
        using var dense = Variant(kind, out _, isPlain: true);
        string made = Path.Combine(_temp, "made"), right = Path.Combine(_temp, "right");
        var report = ModelQuantizer.Quantize(coded.Write(), made, new QuantizeOptions());
        ModelQuantizer.Quantize(dense.Write(), right, new QuantizeOptions());
        using ShardedModel one = ShardedModel.Open(made), other = ShardedModel.Open(right);
        Assert.Equal(other.Tensors.Keys.Order(), one.Tensors.Keys.Order());
        Assert.Equal(14, report.Quantized);
        Assert.All(one.Tensors.Keys.Where(name => expected.Keys.Any(key => name.StartsWith(key, StringComparison.Ordinal))
            && !name.EndsWith("bitsandbytes__nf4", StringComparison.Ordinal) && !name.StartsWith("lm_head", StringComparison.Ordinal)),
            name => Assert.Equal(other.Bytes(name).ToArray(), one.Bytes(name).ToArray()));
        using var model = CausalModel.Load(made, new ModelLoadOptions());
        Assert.All(model.Linears, linear => Assert.Equal(WeightForm.Nf4, linear.Weight.Form));
    }

    [Theory]
    [InlineData("gptq 3", "model.layers.0.self_attn.q_proj.qweight", "its shape")]
    [InlineData("gptq 8 sorted", "model.layers.0.mlp.up_proj.qzeros", "its shape")]
    [InlineData("awq gemv 32", "model.layers.0.mlp.up_proj.scales", "its shape")]
    [InlineData("ct 8 packed", "model.layers.1.mlp.up_proj.weight_packed", "its shape")]
    [InlineData("ct int8 with zeros", "model.layers.1.mlp.up_proj.weight_zero_point", "zero points")]
    [InlineData("fp8 exponents", "model.layers.1.mlp.up_proj.weight_scale_inv", "its shape")]
    [InlineData("bitsandbytes int8", "model.layers.1.mlp.up_proj.SCB", "its shape")]
    [InlineData("bitsandbytes fp4", "model.layers.1.mlp.up_proj.weight.absmax", "elements")]
    public void A_part_that_is_cut_is_refused_by_tensor(string kind, string tensor, string why)
    {
        using var variant = Variant(kind, out _);
        var (dtype, shape, bytes) = variant.Take(tensor);
        variant.Put(tensor, dtype, [shape[0] - 1, .. shape[1..]], bytes[..(int)(bytes.Length / shape[0] * (shape[0] - 1))]);
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(variant.Write(), new ModelLoadOptions { Quantize = QuantizeKind.None }));
        Assert.Contains(tensor, fault.Message, StringComparison.Ordinal);
        Assert.Contains(why, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gptq 8 sorted", "scales", 1)]
    [InlineData("awq gemv 32", "scales", 1)]
    [InlineData("ct int8 rows", "weight_scale", 1)]
    [InlineData("fp8 edges", "weight_scale_inv", 1)]
    [InlineData("fp8 exponents", "weight_scale_inv", 0)]
    [InlineData("bitsandbytes int8", "SCB", 1)]
    [InlineData("bitsandbytes fp4", "weight.absmax", 1)]
    public void A_scale_that_is_no_number_is_refused_by_tensor(string kind, string part, int isWide)
    {
        using var variant = Variant(kind, out _);
        var tensor = "model.layers.1.mlp.gate_proj." + part;
        if (kind == "bitsandbytes fp4") tensor = tensor.Replace("gate", "up", StringComparison.Ordinal);
        var (dtype, shape, bytes) = variant.Take(tensor);
        Array.Fill(bytes, (byte)255, 0, isWide == 0 ? 1 : 4);
        variant.Put(tensor, dtype, shape, bytes);
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(variant.Write(), new ModelLoadOptions { Quantize = QuantizeKind.None }));
        Assert.Contains(tensor, fault.Message, StringComparison.Ordinal);
        Assert.Contains("NaN", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gptq 4 v2", "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32, \"version\": \"gemv\"}", "q_proj")]
    [InlineData("ct int8 rows", "{\"quant_method\": \"fp8\"}", "lies in other codes")]
    [InlineData("fp8 edges", "{\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true}", "lies in other codes")]
    [InlineData("bitsandbytes fp4", "{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_quant_type\": \"nf4\"}",
        "bnb_4bit_quant_type to fp4")]
    [InlineData("ct 4 of 64", "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", \"config_groups\": {\"g\": {\"targets\": "
        + "[\"re:.*(q_proj\"], \"weights\": {\"num_bits\": 4, \"type\": \"int\"}}}}", "'.*(q_proj'")]
    [InlineData("awq gemv 32", "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32, \"version\": \"gemv_fast\"}", "'gemv_fast'")]
    [InlineData("awq gemv 32", "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32, \"backend\": \"llm-awq\"}", "'llm-awq'")]
    [InlineData("ct 4 of 64", "{\"quant_method\": \"compressed-tensors\", \"format\": \"nvfp4-pack-quantized\", \"config_groups\": {\"g\": {\"weights\": "
        + "{\"num_bits\": 4, \"type\": \"float\"}}}}", "'nvfp4-pack-quantized'")]
    [InlineData("bitsandbytes int8", "{\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true, \"load_in_4bit\": true}", "load_in_8bit")]
    public void A_config_of_another_tool_is_refused_in_words(string kind, string config, string why)
    {
        using var variant = Variant(kind, out _);
        variant.Config["quantization_config"] = JsonNode.Parse(config);
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(variant.Write(), new ModelLoadOptions { Quantize = QuantizeKind.None }));
        Assert.Contains(why, fault.Message, StringComparison.Ordinal);
    }

    private static FolderVariant Variant(string kind, out Dictionary<string, float[]> expected, bool isPlain = false)
    {
        var source = Directory.CreateTempSubdirectory("odd-source-").FullName;
        RandomModel.Write(source, Config);
        var variant = new FolderVariant(source);
        Directory.Delete(source, recursive: true);
        var (random, (config, make)) = (new Random(3), Kinds[kind]);
        expected = [];
        foreach (var name in variant.Names.Where(name => name.Contains("_proj", StringComparison.Ordinal) || name == "lm_head.weight"))
        {
            // A head in codes is GPTQ's alone here.
            if (name == "lm_head.weight" && !kind.StartsWith("gptq", StringComparison.Ordinal)) continue;
            var (dtype, shape, bytes) = variant.Take(name);
            var (path, rows, columns) = (name[..^".weight".Length], (int)shape[0], (int)shape[1]);
            if (make(new OddCodes(variant, path, rows, columns, random), path, rows, columns) is { } values) expected[name] = values;
            else variant.Put(name, dtype, shape, bytes);
        }
        if (!isPlain)
        {
            variant.Config["quantization_config"] = JsonNode.Parse(config);
            return variant;
        }
        variant.Rename(name => name.Contains("_proj.", StringComparison.Ordinal) || name.StartsWith("lm_head.", StringComparison.Ordinal)
            ? Plain(name, variant) : name);
        foreach (var (name, values) in expected)
        {
            var columns = name.Contains("down", StringComparison.Ordinal) ? 96 : 64;
            variant.Put(name, [values.Length / columns, columns], values);
        }
        return variant;
    }

    // Weights that stayed plain have nothing beside them.
    private static string? Plain(string name, FolderVariant variant)
        => name.EndsWith(".weight", StringComparison.Ordinal)
            && variant.Names.Count(other => other.StartsWith(name[..^"weight".Length], StringComparison.Ordinal)) == 1 ? name : null;

    private static string Gptq(int bits, int group, string format = "gptq")
        => $"{{\"quant_method\": \"gptq\", \"bits\": {bits}, \"group_size\": {group}, \"desc_act\": true, \"sym\": false, "
            + $"\"checkpoint_format\": \"{format}\"}}";

    private static string Ct(string head, string strategy, int bits, int? group = null, string type = "int", string block = "null")
        => $"{{{head}, \"ignore\": [\"lm_head\"], \"config_groups\": {{\"group_0\": {{\"targets\": [\"Linear\"], \"weights\": {{\"num_bits\": {bits}, "
        + $"\"type\": \"{type}\", \"strategy\": \"{strategy}\", \"group_size\": {(group is null ? "null" : group)}, "
        + $"\"block_structure\": {block}, \"symmetric\": true}}}}}}}}";
}
