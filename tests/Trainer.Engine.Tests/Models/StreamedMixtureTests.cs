using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
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

    private static float[] Step(string folder, ModelLoadOptions options)
    {
        using var model = CausalModel.Load(folder, options);
        AdapterInjector.Inject(model, new LoraSpec { Rank = 2, Alpha = 4, Targets = TargetModules.OfNames(["q_proj"]),
            TargetParameters = ["experts.gate_up_proj", "experts.down_proj"] }, 1);
        var ids = Enumerable.Range(0, 30).Select(i => i * 7 % 96).ToArray();
        model.ForwardBackward(TokenBatch.OfRows([(ids, ids)]), 1.0 / 29);
        return model.Parameters.GradientSpan.ToArray();
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
