using System.Globalization;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Models;

/// <summary>Mixtures held in NF4 expert by expert, in memory or streamed from a folder: the same values either way.</summary>
[Trait("ring", "model")]
public sealed class StreamedMixtureTests : IDisposable
{
    private readonly string _temp = Directory.CreateTempSubdirectory("streamed-mixture-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_step_streamed_from_an_nf4_folder_is_the_step_of_the_base_in_memory(bool perExpert)
    {
        var (source, target) = (Directory.CreateDirectory(Path.Combine(_temp, "source")).FullName, Path.Combine(_temp, "nf4"));
        RandomModel.Write(source, RandomModel.Mixture, perExpert);
        var report = ModelQuantizer.Quantize(source, target, new QuantizeOptions());
        // Four projections and three matrices of five experts in each of two layers.
        Assert.Equal(2 * (4 + 15), report.Quantized);
        using var folder = ShardedModel.Open(target);
        Assert.Contains("model.layers.1.mlp.experts.4.up_proj.weight.absmax", folder.Tensors.Keys);
        var resident = Step(source, new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Reference, Compute = ComputeKind.Float32,
            GradientCheckpointing = true });
        var streamed = Step(target, new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Reference, Compute = ComputeKind.Float32,
            GradientCheckpointing = true, Stream = true });
        Assert.Contains(resident, gradient => gradient != 0);
        Assert.Equal(resident, streamed);
    }

    [Fact]
    public void Experts_in_one_tensor_or_in_many_have_the_same_values_in_4_bits()
    {
        string many = Directory.CreateDirectory(Path.Combine(_temp, "many")).FullName, one = Directory.CreateDirectory(Path.Combine(_temp, "one")).FullName;
        RandomModel.Write(many, RandomModel.Mixture);
        Fuse(many, one);
        var options = new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Reference, Compute = ComputeKind.Float32 };
        Assert.Equal(Step(many, options), Step(one, options));
    }

    /// <summary>Experts that lie transposed, or whose gates and ups alternate, or neither: gpt-oss, llama 4, and a block of both kinds side by side.</summary>
    public static TheoryData<string, int> Turned => new()
    {
        { """
          {"model_type": "gpt_oss", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
           "head_dim": 8, "num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": 6, "tie_word_embeddings": false}
          """, 2 * (4 + 15) },
        { """
          {"model_type": "llama4_text", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 40, "intermediate_size_mlp": 56, "num_hidden_layers": 2, "num_attention_heads": 4,
           "num_key_value_heads": 2, "head_dim": 8, "num_local_experts": 5, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2, "tie_word_embeddings": false}
          """, 2 * 4 + 3 + 3 + 15 },
        { """
          {"model_type": "gemma4_text", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 40, "moe_intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
           "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8, "enable_moe_block": true, "num_experts": 5, "top_k_experts": 2, "sliding_window": 6,
           "hidden_size_per_layer_input": 0}
          """, 2 * (4 + 3 + 15) },
    };

    [Theory, MemberData(nameof(Turned))]
    public void Experts_of_one_tensor_quantized_to_disk_have_the_bits_of_those_quantized_at_load(string config, int quantized)
    {
        var (source, target) = (Directory.CreateDirectory(Path.Combine(_temp, "source")).FullName, Path.Combine(_temp, "nf4"));
        RandomModel.Write(source, config, perExpert: false);
        Assert.Equal(quantized, ModelQuantizer.Quantize(source, target, new QuantizeOptions()).Quantized);
        var options = new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Reference, Compute = ComputeKind.Float32,
            GradientCheckpointing = true };
        using (CausalModel loaded = CausalModel.Load(source, options), written = CausalModel.Load(target, options))
        {
            Assert.Equal(BaseWeights.Checksum(loaded), BaseWeights.Checksum(written));
            Assert.All(written.Experts.SelectMany(experts => experts.Experts), expert => Assert.Equal(WeightForm.Nf4, expert.Down.Form));
        }
        var expected = Step(source, options);
        Assert.Contains(expected, gradient => gradient != 0);
        Assert.Equal(expected, Step(target, options));
        Assert.Equal(expected, Step(target, options with { Stream = true }));
        // Not the values of the base before quantization.
        Assert.NotEqual(expected, Step(source, options with { Quantize = QuantizeKind.None }));
    }

    [Theory]
    [InlineData("\"intermediate_size\": 40", "\"intermediate_size\": 44", "config.json needs [5, 44, 48]")]
    [InlineData("\"num_local_experts\": 5", "\"num_local_experts\": 6", "config.json needs [6, 40, 48]")]
    public void A_tensor_of_all_experts_that_config_json_describes_otherwise_is_not_cut(string right, string wrong, string says)
    {
        var (source, target) = (Directory.CreateDirectory(Path.Combine(_temp, "source")).FullName, Path.Combine(_temp, "nf4"));
        RandomModel.Write(source, (string)Turned.First()[0], perExpert: false);
        var config = Path.Combine(source, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace(right, wrong, StringComparison.Ordinal));
        var fault = Assert.Throws<ModelException>(() => ModelQuantizer.Quantize(source, target, new QuantizeOptions()));
        Assert.Contains("down_proj'", fault.Message, StringComparison.Ordinal);
        Assert.Contains(says, fault.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(target));
    }

    [Fact]
    public void An_expert_that_holds_a_number_that_is_none_is_named()
    {
        var (source, target) = (Directory.CreateDirectory(Path.Combine(_temp, "source")).FullName, Path.Combine(_temp, "nf4"));
        RandomModel.Write(source, (string)Turned.First()[0], perExpert: false);
        using (var variant = new FolderVariant(source))
        {
            var values = variant.TakeFloats("model.layers.1.mlp.experts.down_proj");
            values[3 * 48 * 40 + 7] = float.NaN;
            variant.Put("model.layers.1.mlp.experts.down_proj", [5, 40, 48], values);
            var fault = Assert.Throws<ModelException>(() => ModelQuantizer.Quantize(variant.Write(), target, new QuantizeOptions()));
            Assert.Contains("'model.layers.1.mlp.experts.3.down_proj.weight'", fault.Message, StringComparison.Ordinal);
        }
        Assert.False(Directory.Exists(target));
    }

    [SkippableFact]
    public void Experts_whose_gates_and_ups_alternate_are_given_back_layer_by_layer()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "counts the resident pages of a mapped file");
        var (source, target) = (Directory.CreateDirectory(Path.Combine(_temp, "source")).FullName, Path.Combine(_temp, "nf4"));
        RandomModel.Write(source, """
            {"model_type": "gpt_oss", "vocab_size": 96, "hidden_size": 1024, "intermediate_size": 1056, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
             "head_dim": 8, "num_local_experts": 1, "num_experts_per_tok": 1, "sliding_window": 6, "tie_word_embeddings": false}
            """, perExpert: false);
        ModelQuantizer.Quantize(source, target, new QuantizeOptions());
        using var model = CausalModel.Load(target, new ModelLoadOptions { Quantize = QuantizeKind.Nf4, Engine = EngineKind.Fast,
            Compute = ComputeKind.Float32, GradientCheckpointing = true, Stream = true, StreamReads = StreamReads.Mapped });
        Inject(model);
        var ids = Enumerable.Range(0, 60).Select(i => i * 7 % 96).ToArray();
        model.ForwardBackward(TokenBatch.OfRows([(ids, ids)]), 1.0 / 59);
        // Two layers may be there; the pages around them that the system maps with them are less than another. Gates and ups of a layer are farther
        // apart from what lies around them than what is read in one go.
        const long Layer = 3 * 1024 * 1056 / 2;
        Assert.InRange(ResidentBytes(target), 1, 3 * Layer);
    }

    private static float[] Step(string folder, ModelLoadOptions options)
    {
        using var model = CausalModel.Load(folder, options);
        Inject(model);
        var ids = Enumerable.Range(0, 30).Select(i => i * 7 % 96).ToArray();
        model.ForwardBackward(TokenBatch.OfRows([(ids, ids)]), 1.0 / 29);
        return model.Parameters.GradientSpan.ToArray();
    }

    private static void Inject(CausalModel model) => AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Alpha = 4,
        Targets = TargetModules.OfNames(["q_proj"]), TargetParameters = ["experts.gate_up_proj", "experts.down_proj"] }, 1);

    private static long ResidentBytes(string folder)
    {
        long kibibytes = 0;
        var isOurs = false;
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0].EndsWith(':') && words[0] == "Rss:" && isOurs) kibibytes += long.Parse(words[1], CultureInfo.InvariantCulture);
            else if (!words[0].EndsWith(':')) isOurs = words[^1].StartsWith(folder, StringComparison.Ordinal);
        }
        return kibibytes * 1024;
    }

    private static void Fuse(string from, string to)
    {
        File.Copy(Path.Combine(from, "config.json"), Path.Combine(to, "config.json"));
        using var model = ShardedModel.Open(from);
        var fused = new Dictionary<string, (long[] Shape, byte[] Bytes)>(StringComparer.Ordinal);
        byte[] Bytes(string name) => model.Bytes(name).ToArray();
        foreach (var name in model.Tensors.Keys.Where(name => !name.Contains(".experts.", StringComparison.Ordinal)))
            fused[name] = (model.Entry(name).Shape, Bytes(name));
        for (var layer = 0; layer < 2; layer++)
        {
            var path = $"model.layers.{layer}.mlp.experts.";
            fused[path + "gate_up_proj"] = ([5, 48, 32],
                [.. Enumerable.Range(0, 5).SelectMany(e => Bytes($"{path}{e}.gate_proj.weight").Concat(Bytes($"{path}{e}.up_proj.weight")))]);
            fused[path + "down_proj"] = ([5, 32, 24], [.. Enumerable.Range(0, 5).SelectMany(e => Bytes($"{path}{e}.down_proj.weight"))]);
        }
        using var writer = SafetensorsWriter.Create(Path.Combine(to, ShardedModel.SingleFile),
            fused.Select(pair => new TensorDeclaration(pair.Key, SafetensorsDtype.F32, pair.Value.Shape)), SafetensorsWriter.PyTorchMetadata);
        foreach (var (name, (_, bytes)) in fused) writer.Write(name, bytes);
        writer.Complete();
    }
}
