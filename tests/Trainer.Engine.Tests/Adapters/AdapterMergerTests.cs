using System.Runtime.InteropServices;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Engine.Tests.Models;
using Trainer.Models;

namespace Trainer.Engine.Tests.Adapters;

[Trait("ring", "model")]
public sealed class AdapterMergerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("merge-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> Cases => PeftFolderTests.Cases;

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_merged_folder_computes_what_base_and_adapter_compute(string name)
    {
        using var model = LoraGoldenTests.Load(name, "adapter_final", checkpointing: true);
        Write(model);
        var config = File.ReadAllText(Golden.Folder(LoraGoldenTests.BaseOf(name), "config.json"));
        var merger = new AdapterMerger(model);
        Assert.Equal(model.Config.TiedEmbeddings && name != "qwen2_modules_to_save_tied", merger.TiedEmbeddings);
        if (!merger.TiedEmbeddings) config = config.Replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(_folder, "config.json"), config);
        using var merged = CausalModel.Load(_folder, new ModelLoadOptions { Engine = EngineKind.Reference });
        using var io = SafetensorsFile.Open(Golden.Folder(LoraGoldenTests.BaseOf(name), "io.safetensors"));
        var batch = Golden.Batch(io, trimmed: true);
        using var together = model.Logits(batch);
        using var alone = merged.Logits(batch);
        Assert.InRange(Golden.LargestDifference(together.data<float>().ToArray(), alone.data<float>().ToArray()), 0, Golden.LogitGate);
        model.AdaptersEnabled = false;
        using var plain = model.Logits(batch);
        Assert.True(Golden.LargestDifference(plain.data<float>().ToArray(), alone.data<float>().ToArray()) > 1e-2);
    }

    [SkippableTheory]
    [InlineData("llama31_base")]
    [InlineData("llama31_dora")]
    [InlineData("qwen2_base")]
    [InlineData("qwen2_modules_to_save_tied")]
    public void Merged_weights_are_the_reference_s(string name)
    {
        var path = Path.Combine(Golden.Root, "..", "..", "..", "..", "shared", "golden", "transformers", "lora", name, "merged", "model.safetensors");
        Skip.IfNot(File.Exists(path), $"no {Path.GetFullPath(path)}");
        using var model = LoraGoldenTests.Load(name, "adapter_final", checkpointing: true);
        Write(model);
        using var expected = SafetensorsFile.Open(path);
        using var written = SafetensorsFile.Open(Path.Combine(_folder, "model.safetensors"));
        Assert.Equal(expected.Tensors.Keys.Order(StringComparer.Ordinal), written.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var tensor in expected.Tensors.Keys) Assert.InRange(Golden.LargestDifference(Golden.Floats(expected, tensor), Golden.Floats(written, tensor)), 0, 2e-6);
    }

    [Fact]
    public void A_bias_of_the_adapter_on_a_layer_without_one_cannot_be_merged()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"));
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, LoraBias = true }, 1);
        Assert.Contains("'model.layers.0.self_attn.q_proj'", Assert.Throws<AdapterException>(() => new AdapterMerger(model)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_4_bit_base_is_merged_as_what_it_dequantizes_to()
    {
        using var model = CausalModel.Load(Golden.Folder("qlora", "llama31_nf4_dq", "prequantized"), new ModelLoadOptions { Engine = EngineKind.Reference });
        PeftFolder.Load(model, Golden.Folder("qlora", "llama31_nf4_dq", "adapter_init"));
        Write(model);
        File.Copy(Golden.Folder("llama31", "config.json"), Path.Combine(_folder, "config.json"));
        using var merged = CausalModel.Load(_folder, new ModelLoadOptions { Engine = EngineKind.Reference });
        var batch = TokenBatch.OfTokens([1, 9, 44, 200, 7, 7]);
        using var together = model.Logits(batch);
        using var alone = merged.Logits(batch);
        Assert.InRange(Golden.LargestDifference(together.data<float>().ToArray(), alone.data<float>().ToArray()), 0, Golden.LogitGate);
    }

    private void Write(CausalModel model)
    {
        var merger = new AdapterMerger(model);
        using var writer = SafetensorsWriter.Create(Path.Combine(_folder, "model.safetensors"), merger.Tensors.Select(tensor => new TensorDeclaration(tensor.Name, SafetensorsDtype.F32, [.. tensor.Shape])), SafetensorsWriter.PyTorchMetadata);
        foreach (var tensor in merger.Tensors) merger.Read(tensor, part => writer.Write(tensor.Name, MemoryMarshal.AsBytes(part)));
        writer.Complete();
    }
}
