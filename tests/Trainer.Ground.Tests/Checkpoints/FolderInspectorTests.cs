using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Runs;

namespace Trainer.Ground.Tests.Checkpoints;

[Trait("ring", "unit")]
public sealed class FolderInspectorTests
{
    [Fact]
    public void An_adapter_is_told_by_its_config_and_tensors()
    {
        var found = FolderInspector.Inspect(Fixture.Path("checkpoints", "adapter_phi3"));
        Assert.Equal("adapter", found.Kind);
        Assert.Equal(["down_proj", "gate_up_proj", "o_proj", "qkv_proj"], found.Adapter!.Modules);
        Assert.Equal([4L], found.Adapter.Ranks);
        Assert.Equal("phi3", found.Adapter.Config.BaseModel);
        Assert.All(found.Adapter.Readers, reader => Assert.True(reader.Loads));
        Assert.Equal(found.Tensors!.Bytes, 4 * found.Tensors.Parameters);
    }

    [Fact]
    public void A_model_a_checkpoint_a_run_and_single_files_are_told_apart()
    {
        using var temp = new TempFolder();
        temp.Write("model/config.json",
            """{"model_type":"llama","architectures":["LlamaForCausalLM"],"num_hidden_layers":2,"num_attention_heads":4,"tie_word_embeddings":true,"dtype":"bfloat16","rope_parameters":{"rope_type":"llama3"}}""");
        var weights = temp.Write("model/model.safetensors", Fixture.Safetensors("""{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}""", 12));
        var model = FolderInspector.Inspect(temp["model"]);
        Assert.Equal(("model", "llama", "LlamaForCausalLM", "bfloat16", "llama3"),
            (model.Kind, model.Model!.Family, model.Model.Architecture, model.Model.Dtype, model.Model.RopeScaling));
        Assert.Equal((4L, true, false), (model.Model.KvHeads!.Value, model.Model.IsTied!.Value, model.Model.HasTokenizer));
        Assert.Equal((6, 12, ("BF16", 1, 12L)), (model.Tensors!.Parameters, model.Tensors.Bytes, model.Tensors.ByType[0]));
        Assert.Equal("safetensors", FolderInspector.Inspect(weights).Kind);
        CheckpointFolder.Write(temp["run"], 3, "r", folder => File.WriteAllText(Path.Combine(folder, "x"), ""));
        Assert.Equal(3, FolderInspector.Inspect(temp["run", "checkpoint-3"]).Checkpoint!.Step);
        Assert.Equal([3L], FolderInspector.Inspect(temp["run"]).Checkpoints);
        using (var writer = GgufWriter.Create(temp["a.gguf"],
            [new("general.type", GgufValue.Of("adapter")), new("adapter.lora.alpha", GgufValue.Of(8f))], []))
        {
            writer.Complete();
        }
        Assert.Equal(("adapter", 8f), (FolderInspector.Inspect(temp["a.gguf"]).Gguf!.Type, FolderInspector.Inspect(temp["a.gguf"]).Gguf!.Alpha));
        Assert.Contains("is neither a model", Assert.Throws<BadFileException>(() => FolderInspector.Inspect(temp.Path)).Message);
        Assert.Contains("no such file or folder", Assert.Throws<BadFileException>(() => FolderInspector.Inspect(temp["none"])).Message);
        Assert.Contains("neither a GGUF nor a safetensors",
            Assert.Throws<BadFileException>(() => FolderInspector.Inspect(temp.Write("x.bin", [1, 2, 3, 4, 5]))).Message);
    }

    [SkippableFact]
    public void A_quantized_model_counts_its_weights_and_not_its_bytes()
    {
        var golden = Fixture.Shared("golden", "transformers", "qlora", "llama31_nf4_dq", "prequantized");
        Skip.If(golden is null, "the reference data beside the repository is absent");
        var found = FolderInspector.Inspect(golden);
        Assert.Equal("bitsandbytes nf4, double", found.Model!.Quantization);
        Assert.Equal(152_000, found.Tensors!.Parameters);
    }
}
