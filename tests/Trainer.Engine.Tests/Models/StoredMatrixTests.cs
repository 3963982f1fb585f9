using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;

namespace Trainer.Engine.Tests.Models;

/// <summary>Quantized folders as other tools write them (tests/fixtures/quantized), against what those tools dequantize them to.</summary>
[Trait("ring", "model")]
public sealed class StoredMatrixTests : IDisposable
{
    private static readonly string Root = Path.Combine(Path.GetDirectoryName(Golden.Root)!, "quantized");
    private readonly string _temp = Directory.CreateTempSubdirectory("trainer-test-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    public static TheoryData<string> Cases => [.. Directory.GetDirectories(Root).Select(folder => Path.GetFileName(folder)).Order()];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Codes_are_read_to_the_last_bit_as_the_tool_that_wrote_them_does(string name) => AssertEqual(Path.Combine(Root, name));

    [SkippableTheory]
    [InlineData("fp8_block128")]
    [InlineData("gptq4")]
    public void Large_folders_too(string name) => AssertEqual(ReferenceData.Transformers("quantized", name));

    [SkippableTheory]
    [InlineData("awq4_gemm")]
    [InlineData("ct_fp8_channel")]
    [InlineData("ct_int4_sym")]
    [InlineData("fp8_block128")]
    [InlineData("fp8_per_tensor")]
    [InlineData("gptq4")]
    [InlineData("gptq4_act_order")]
    public void A_model_held_as_it_is_stored_gives_the_logits_of_the_reference(string name)
    {
        var folder = ReferenceData.Transformers("quantized", name);
        using var io = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None });
        using var logits = model.Logits(Golden.Batch(io, trimmed: false));
        Assert.InRange(Golden.LargestDifference(logits.data<float>().ToArray(), Golden.Floats(io, "logits")), 0, Golden.LogitGate);
        Assert.All(model.Linears, linear => Assert.Contains(linear.Weight.Form, (WeightForm[])[WeightForm.Int4, WeightForm.Fp8]));
    }

    [Fact]
    public void Codes_are_held_as_nf4_where_that_is_asked_for()
    {
        using var model = CausalModel.Load(Path.Combine(Root, "gptq4_act_order"), new ModelLoadOptions { Quantize = QuantizeKind.Nf4 });
        Assert.All(model.Linears, linear => Assert.Equal(WeightForm.Nf4, linear.Weight.Form));
    }

    [Theory]
    [InlineData("gptq4_act_order", "scales", "scale 0 is 0")]
    [InlineData("awq4_gemm", "scales", "scale 0 is 0")]
    [InlineData("ct_int4_sym", "weight_scale", "scale 0 is 0")]
    [InlineData("fp8_per_tensor", "weight_scale_inv", "scale 0 is 0")]
    public void A_scale_of_0_is_refused_by_tensor(string name, string part, string why)
    {
        var tensor = $"model.layers.0.self_attn.q_proj.{part}";
        var folder = Copy(name, (entry, bytes) => { if (entry == tensor) bytes[..Math.Min(4, bytes.Length)].Clear(); });
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None }));
        Assert.Contains(tensor, fault.Message);
        Assert.Contains(why, fault.Message);
    }

    [Fact]
    public void A_group_that_is_not_there_is_refused_by_tensor()
    {
        var folder = Copy("gptq4_act_order", (entry, bytes) => { if (entry == "model.layers.1.mlp.up_proj.g_idx") bytes[4] = 77; });
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None }));
        Assert.Contains("model.layers.1.mlp.up_proj.g_idx", fault.Message);
    }

    [Theory]
    [InlineData("\"bits\": 4", "\"bits\": 5", "bits")]
    [InlineData("\"quant_method\": \"gptq\"", "\"quant_method\": \"hqq\"", "hqq")]
    [InlineData("\"group_size\": 32", "\"group_size\": 64", "scales")]
    public void What_is_not_read_is_refused_by_name(string was, string becomes, string named)
    {
        var folder = Copy("gptq4_act_order", (_, _) => { });
        var config = Path.Combine(folder, "config.json");
        var text = File.ReadAllText(config);
        Assert.Contains(was, text);
        File.WriteAllText(config, text.Replace(was, becomes));
        var fault = Assert.Throws<ModelException>(() => CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None }).Dispose());
        Assert.Contains(named, fault.Message);
    }

    [Fact]
    public void The_tensors_of_a_coded_folder_are_seen_under_the_names_of_a_plain_one()
    {
        var folder = Path.Combine(Root, "ct_int4_sym");
        using var tensors = BaseTensors.Open(folder);
        using var expected = SafetensorsFile.Open(Path.Combine(folder, "dequantised.safetensors"));
        Assert.DoesNotContain(tensors.Names, name => name.EndsWith("_scale", StringComparison.Ordinal) || name.EndsWith("_packed", StringComparison.Ordinal)
            || name.EndsWith("_shape", StringComparison.Ordinal));
        foreach (var entry in expected.Entries)
        {
            var (values, mine) = (new float[entry.ElementCount], new float[entry.ElementCount]);
            StoredValues.Read(expected, entry, 0, values);
            // In two parts, the second of which begins inside a row.
            tensors.Read(entry.Name, 0, mine.AsSpan(0, 37));
            tensors.Read(entry.Name, 37, mine.AsSpan(37));
            Assert.Equal(values, mine);
        }
    }

    private static unsafe void AssertEqual(string folder)
    {
        using var expected = SafetensorsFile.Open(Path.Combine(folder, "dequantised.safetensors"));
        using var model = CausalModel.Load(folder, new ModelLoadOptions { Quantize = QuantizeKind.None });
        var byName = model.Linears.ToDictionary(linear => linear.Name + ".weight");
        foreach (var entry in expected.Entries)
        {
            var weight = byName[entry.Name].Weight;
            var (values, mine) = (new float[entry.ElementCount], new float[entry.ElementCount]);
            StoredValues.Read(expected, entry, 0, values);
            weight.Materialize(0, weight.Rows, mine);
            Assert.Equal(values, mine);
        }
    }

    private unsafe string Copy(string name, SpanEdit edit)
    {
        var target = Path.Combine(_temp, name);
        Directory.CreateDirectory(target);
        File.Copy(Path.Combine(Root, name, "config.json"), Path.Combine(target, "config.json"));
        var bytes = File.ReadAllBytes(Path.Combine(Root, name, "model.safetensors"));
        using (var file = SafetensorsFile.Open(Path.Combine(Root, name, "model.safetensors")))
        {
            foreach (var entry in file.Entries) edit(entry.Name, bytes.AsSpan((int)file.OffsetOf(file.Pointer(entry))!.Value, (int)entry.ByteCount));
        }
        File.WriteAllBytes(Path.Combine(target, "model.safetensors"), bytes);
        return target;
    }

    private delegate void SpanEdit(string entry, Span<byte> bytes);
}
