using System.Runtime.InteropServices;
using Trainer.Adapters;
using Trainer.Adapters.Export;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Tests.Models;

namespace Trainer.Engine.Tests.Adapters;

[Trait("ring", "model")]
public sealed class GgufExportTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("trainer-test-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    private string Target => Path.Combine(_temp, "out.gguf");

    private string Adapter(string source, Func<string, string> change)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        File.WriteAllBytes(Path.Combine(folder, "adapter_model.safetensors"), File.ReadAllBytes(Path.Combine(source, "adapter_model.safetensors")));
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), change(File.ReadAllText(Path.Combine(source, "adapter_config.json"))));
        return folder;
    }

    [SkippableFact]
    public void An_adapter_is_written_byte_for_byte_as_llama_cpp_was_seen_to_load_it()
    {
        var tensors = GgufAdapterExporter.Export(ReferenceData.Gguf("stories260K"), ReferenceData.Gguf("adapter_lora"), Target);
        Assert.Equal(70, tensors);
        Assert.Equal(File.ReadAllBytes(ReferenceData.Gguf("adapter_lora.gguf")), File.ReadAllBytes(Target));
    }

    [SkippableFact]
    public void Rank_stabilised_scaling_goes_into_alpha()
    {
        var adapter = Adapter(ReferenceData.Gguf("adapter_lora"),
            config => config.Replace("\"use_rslora\": false", "\"use_rslora\": true", StringComparison.Ordinal));
        GgufAdapterExporter.Export(ReferenceData.Gguf("stories260K"), adapter, Target);
        using var file = GgufFile.Open(Target);
        Assert.Equal((float)(16 * Math.Sqrt(8)), file.Find("adapter.lora.alpha")!.Value);
    }

    [SkippableTheory]
    [InlineData("qwen2_base", "qwen2", "qwen2", "blk.1.attn_k.weight.lora_b", false)]
    [InlineData("phi3_fused", "phi3", "phi3", "blk.0.ffn_up.weight.lora_a", false)]
    [InlineData("gemma2_all_linear", "gemma2", "gemma2", "blk.0.ffn_down.weight.lora_b", false)]
    [InlineData("llama31_base", "llama31", "llama", "blk.2.attn_q.weight.lora_b", true)]
    public void Families_have_their_own_names_and_only_llama_moves_rows(string golden, string model, string architecture, string tensor, bool moved)
    {
        var adapter = ReferenceData.Transformers("lora", golden, "adapter_final");
        GgufAdapterExporter.Export(ReferenceData.Transformers("models", model), adapter, Target);
        using var file = GgufFile.Open(Target);
        Assert.Equal(architecture, file.Text("general.architecture"));
        var bytes = file.Read(file.ByName[tensor]);
        using var source = SafetensorsFile.Open(Path.Combine(adapter, "adapter_model.safetensors"));
        var found = source.Entries.Any(entry => source.Bytes(entry).SequenceEqual(bytes));
        Assert.Equal(!moved, found);
    }

    [SkippableTheory]
    [InlineData("llama31_dora", "llama31", "DoRA")]
    [InlineData("llama31_modules_to_save", "llama31", "whole modules")]
    [InlineData("llama31_layers_pattern", "llama31", "one alpha")]
    [InlineData("llama_bias_lora_bias", "llama_bias", "nothing but A and B")]
    [InlineData("qwen2_bias_all", "qwen2", "nothing but A and B")]
    public void What_llama_cpp_cannot_compute_is_refused_with_the_reason(string golden, string model, string why)
    {
        var message = Assert.Throws<AdapterException>(() => GgufAdapterExporter.Export(ReferenceData.Transformers("models", model),
            ReferenceData.Transformers("lora", golden, "adapter_final"), Target)).Message;
        Assert.Contains(why, message);
        Assert.False(File.Exists(Target));
    }

    [SkippableFact]
    public void A_whole_model_has_the_tensors_and_tokens_of_the_reference_file()
    {
        var report = GgufModelExporter.Export(ReferenceData.Beside("models", "stories260K"), Target,
            new GgufModelOptions { Type = GgufTensorType.F32 });
        Assert.Empty(report.Notes);
        using GgufFile expected = GgufFile.Open(ReferenceData.Gguf("base.stories260K.gguf")), actual = GgufFile.Open(Target);
        // The reference repeats the tied head; llama.cpp takes the embedding where there is none.
        Assert.Equal(expected.ByName.Keys.Where(name => name != "output.weight").Order(), actual.ByName.Keys.Order());
        Assert.All(actual.Tensors, tensor => Assert.Equal(expected.Read(expected.ByName[tensor.Name]), actual.Read(tensor)));
        Assert.All(actual.Tensors, tensor => Assert.Equal(expected.ByName[tensor.Name].Dimensions, tensor.Dimensions));
        foreach ((var key, var value) in expected.Metadata)
        {
            var mine = actual.Find(key) ?? throw new InvalidOperationException($"no {key}");
            Assert.Equal(value.Value, mine.Value);
        }
    }

    [SkippableTheory]
    [InlineData(GgufTensorType.F16, 1e-3f)]
    [InlineData(GgufTensorType.BF16, 4e-3f)]
    [InlineData(GgufTensorType.Q8_0, 1e-2f)]
    public void Smaller_types_are_near_the_original(GgufTensorType type, float tolerance)
    {
        GgufModelExporter.Export(ReferenceData.Beside("models", "stories260K"), Target, new GgufModelOptions { Type = type });
        using GgufFile expected = GgufFile.Open(ReferenceData.Gguf("base.stories260K.gguf")), actual = GgufFile.Open(Target);
        var tensor = actual.ByName["blk.0.attn_q.weight"];
        Assert.Equal(type, tensor.Type);
        Assert.Equal(GgufTensorType.F32, actual.ByName["output_norm.weight"].Type);
        float[] want = MemoryMarshal.Cast<byte, float>(expected.Read(expected.ByName[tensor.Name])).ToArray(), got = Decode(actual.Read(tensor), type);
        var largest = want.Max(MathF.Abs);
        Assert.All(want.Zip(got), pair => Assert.InRange(MathF.Abs(pair.First - pair.Second), 0, tolerance * largest));
        Assert.Contains(want.Zip(got), pair => pair.First != pair.Second);
    }

    [SkippableFact]
    public void Llama3_scaling_becomes_frequency_factors()
    {
        using var file = Exported("llama31");
        var factors = MemoryMarshal.Cast<byte, float>(file.Read(file.ByName["rope_freqs.weight"])).ToArray();
        Assert.Equal(8, factors.Length);
        Assert.Equal((1f, 8f), (factors[0], factors[^1]));
        Assert.Contains(factors, factor => factor is > 1 and < 8);
    }

    private GgufFile Exported(string model)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "model")).FullName;
        foreach (var file in Directory.GetFiles(ReferenceData.Transformers("models", model), "*.*"))
            File.WriteAllBytes(Path.Combine(folder, Path.GetFileName(file)), File.ReadAllBytes(file));
        // These models have random weights and no tokenizer; three tokens will do.
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"),
            """{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"decoder":{"type":"ByteLevel"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}}""");
        GgufModelExporter.Export(folder, Target, new GgufModelOptions());
        return GgufFile.Open(Target);
    }

    private static float[] Decode(byte[] bytes, GgufTensorType type) => type switch
    {
        GgufTensorType.F16 => [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(value => (float)value)],
        GgufTensorType.BF16 => [.. MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(bits => BitConverter.UInt32BitsToSingle((uint)bits << 16))],
        _ =>
            [.. Enumerable.Range(0, bytes.Length / 34)
            .SelectMany(block => bytes.AsSpan(block * 34 + 2, 32).ToArray().Select(code => (sbyte)code * (float)BitConverter.ToHalf(bytes, block * 34)))],
    };
}
