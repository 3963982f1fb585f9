using System.Runtime.InteropServices;
using Trainer.Adapters.Export;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Quantize;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Families;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>The formats on the embedded model (bfloat16, tied, byte-level tokenizer): what is written computes what was meant.</summary>
[Trait("ring", "model")]
public sealed class EmbeddedFormatTests : IDisposable
{
    private static readonly TokenBatch Batch = TokenBatch.OfTokens([5, 17, 300, 4, 99, 700, 12, 45, 46, 47, 3, 250]);

    private readonly string _temp = Directory.CreateTempSubdirectory("trainer-test-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    private static float[] Logits(string folder, ModelLoadOptions options)
    {
        using var model = CausalModel.Load(folder, options);
        using var logits = model.Logits(Batch);
        return logits.cpu().data<float>().ToArray();
    }

    /// <summary>An adapter on every linear of layers 0 and 3, rank 4, alpha 8, with values large enough to matter.</summary>
    private string Adapter()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_temp, "adapter")).FullName;
        File.WriteAllText(Path.Combine(folder, AdapterConfig.FileName),
            """{"peft_type":"LORA","r":4,"lora_alpha":8,"layers_to_transform":[0,3],"bias":"none","target_modules":["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"],"base_model_name_or_path":"tiny"}""");
        var random = new Random(7);
        using var model = ShardedModel.Open(ReferenceData.Embedded);
        var linears = ModelQuantizer.WeightNames(ConfigLoader.Load(ReferenceData.Embedded), model.Tensors.Keys);
        var tensors = model.Tensors.Values.Where(entry => linears.Contains(entry.Name) && entry.Name.Split('.')[2] is "0" or "3").SelectMany(entry =>
        {
            var name = "base_model.model." + entry.Name[..^".weight".Length];
            return new TensorDeclaration[] { new(name + ".lora_A.weight", SafetensorsDtype.F32, [4, entry.Shape[1]]),
                new(name + ".lora_B.weight", SafetensorsDtype.F32, [entry.Shape[0], 4]) };
        }).ToList();
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, "adapter_model.safetensors"), tensors, SafetensorsWriter.PyTorchMetadata,
            verify: true);
        foreach (var tensor in tensors)
            writer.Write(tensor.Name,
                MemoryMarshal.AsBytes<float>([.. Enumerable.Range(0, (int)tensor.ByteCount / 4).Select(_ => (float)(random.NextDouble() - 0.5) * 0.1f)]));
        writer.Complete();
        return folder;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_quantized_folder_computes_what_quantization_on_load_computes(bool nested)
    {
        var target = Path.Combine(_temp, "q");
        var report = ModelQuantizer.Quantize(ReferenceData.Embedded, target, new QuantizeOptions { DoubleQuantize = nested });
        Assert.Equal(28, report.Quantized);
        Assert.True(report.BytesAfter < report.BytesBefore);
        Assert.True(File.Exists(Path.Combine(target, "tokenizer.json")) && File.Exists(Path.Combine(target, "chat_template.jinja")));
        var onLoad = Logits(ReferenceData.Embedded, new ModelLoadOptions { Quantize = QuantizeKind.Nf4, DoubleQuantize = nested });
        Assert.Equal(onLoad, Logits(target, new ModelLoadOptions()));
        Assert.NotEqual(onLoad, Logits(ReferenceData.Embedded, new ModelLoadOptions()));
    }

    [Theory]
    [InlineData(QuantizeKind.None)]
    [InlineData(QuantizeKind.Nf4)]
    public void A_merged_folder_computes_what_base_and_adapter_compute(QuantizeKind trained)
    {
        string target = Path.Combine(_temp, "m"), adapter = Adapter();
        var report = ModelMerger.Merge(ReferenceData.Embedded, adapter, target,
            new MergeOptions { OntoQuantized = trained == QuantizeKind.Nf4, MaxShardBytes = 700_000 });
        Assert.Equal(14, report.Merged);
        Assert.True(File.Exists(Path.Combine(target, ShardedModel.IndexFile)));
        var drift = MergeDrift.Measure(ReferenceData.Embedded, adapter, target, new ModelLoadOptions { Quantize = trained }, Batch);
        // What is left is the rounding of merged weights to bfloat16: 8 bits, a few hundredths of a logit.
        Assert.InRange(drift.Largest, 0, 0.25);
        var withoutAdapter = MergeDrift.Measure(ReferenceData.Embedded, adapter, ReferenceData.Embedded, new ModelLoadOptions { Quantize = trained },
            Batch);
        Assert.True(drift.Mean < withoutAdapter.Mean / 10, $"{drift} against {withoutAdapter}");
    }

    [Fact]
    public void A_GGUF_file_of_the_model_and_of_the_adapter_open_with_their_tokens()
    {
        string model = Path.Combine(_temp, "m.gguf"), lora = Path.Combine(_temp, "a.gguf");
        GgufModelExporter.Export(ReferenceData.Embedded, model, new GgufModelOptions { Type = GgufTensorType.BF16 });
        using var file = GgufFile.Open(model);
        using var source = ShardedModel.Open(ReferenceData.Embedded);
        Assert.Equal("gpt-2", file.Text("tokenizer.ggml.pre"));
        Assert.Equal(768, ((string[])file.Find("tokenizer.ggml.tokens")!.Value).Length);
        Assert.Equal(source.Bytes("model.layers.1.mlp.up_proj.weight").ToArray(), file.Read(file.ByName["blk.1.ffn_up.weight"]));
        byte[] query = source.Bytes("model.layers.1.self_attn.q_proj.weight").ToArray(), moved = file.Read(file.ByName["blk.1.attn_q.weight"]);
        // Row 16 of a head of 32 is the first of its second half: the partner of row 0.
        Assert.Equal(query[(16 * 256)..(17 * 256)], moved[256..512]);
        Assert.Equal(28, GgufAdapterExporter.Export(ReferenceData.Embedded, Adapter(), lora));
        Assert.Equal("adapter", FolderInspector.Inspect(lora).Gguf!.Type);
    }
}
