using Trainer.Adapters;
using Trainer.Adapters.Merge;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Quantize;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;

namespace Trainer.Engine.Tests.Adapters;

/// <summary>A number that its stored type cannot hold is refused by tensor while writing, and nothing is left of the work.</summary>
[Trait("ring", "model")]
public sealed class OverflowTests : IDisposable
{
    private const string Tensor = "model.layers.1.mlp.down_proj.weight";

    private readonly string _temp = Directory.CreateTempSubdirectory("overflow-").FullName;

    public void Dispose() => Directory.Delete(_temp, recursive: true);

    [Theory]
    [InlineData(GgufTensorType.F16, 70000f, "--type bf16 or f32")]
    [InlineData(GgufTensorType.F16, -65520f, "-65520")]
    [InlineData(GgufTensorType.Q8_0, 9e6f, "half-precision scale")]
    [InlineData(GgufTensorType.F16, 65519f, null)]
    [InlineData(GgufTensorType.BF16, 3e38f, null)]
    [InlineData(GgufTensorType.Q8_0, 70000f, null)]
    public void Exporting(GgufTensorType type, float value, string? said)
    {
        var (folder, target) = (Path.Combine(_temp, "m"), Path.Combine(_temp, "out", "m.gguf"));
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        Copy(ReferenceData.Embedded, folder, value, 1f);
        if (said is null)
        {
            GgufModelExporter.Export(folder, target, new GgufModelOptions { Type = type });
            return;
        }
        var fault = Assert.Throws<ModelException>(() => GgufModelExporter.Export(folder, target, new GgufModelOptions { Type = type })).Message;
        Assert.Contains($"tensor '{Tensor}'", fault, StringComparison.Ordinal);
        Assert.Contains(said, fault, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(target)!));
    }

    [Fact]
    public void Merging_into_half_precision()
    {
        string folder = Path.Combine(_temp, "m"), adapter = Directory.CreateDirectory(Path.Combine(_temp, "a")).FullName,
            target = Path.Combine(_temp, "out", "merged");
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        Copy(Golden.Folder("llama2"), folder, 60000f, 1f, SafetensorsDtype.F16);
        using (var model = CausalModel.Load(folder))
        {
            var spec = new LoraSpec { Rank = 1, Alpha = 1, Targets = TargetModules.OfNames(["down_proj"]) };
            AdapterInjector.Inject(model, spec, 1);
            foreach (var linear in model.Linears.Where(one => one.Adapter is not null))
            {
                model.Parameters.ValuesOf(linear.Adapter!.A).Fill(100f);
                model.Parameters.ValuesOf(linear.Adapter!.B).Fill(100f);
            }
            PeftFolder.Save(adapter, model, spec, folder);
        }
        var fault = Assert.Throws<AdapterException>(() => ModelMerger.Merge(folder, adapter, target, new MergeOptions())).Message;
        Assert.Contains($"tensor '{Tensor}' of the merged model is 70000", fault, StringComparison.Ordinal);
        Assert.Contains("float16 cannot hold; merge with --type bf16", fault, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(target)!));
        ModelMerger.Merge(folder, adapter, target, new MergeOptions { Type = SafetensorsDtype.BF16 });
        using var merged = ShardedModel.Open(target);
        Assert.All(merged.Tensors.Values, entry => Assert.Equal(SafetensorsDtype.BF16, entry.Dtype));
        Assert.Equal("bfloat16", ConfigLoader.Load(target).StoredType);
        using var loaded = CausalModel.Load(target);
    }

    // The first element of one tensor becomes a value, the rest a factor of what it was.
    private static void Copy(string source, string target, float value, float factor, SafetensorsDtype? type = null)
    {
        Directory.CreateDirectory(target);
        foreach (var file in Directory.GetFiles(source, "*.js*").Where(file => !file.EndsWith("expected.json", StringComparison.Ordinal)))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        using var from = SafetensorsFile.Open(Path.Combine(source, ShardedModel.SingleFile));
        using var writer = SafetensorsWriter.Create(Path.Combine(target, ShardedModel.SingleFile),
            from.Entries.Select(entry => new TensorDeclaration(entry.Name, type ?? SafetensorsDtype.F32, entry.Shape)), SafetensorsWriter.PyTorchMetadata);
        foreach (var entry in writer.Entries)
        {
            var values = new float[entry.ElementCount];
            StoredValues.Read(from, from.Entry(entry.Name), 0, values);
            if (entry.Name == Tensor) values[0] = value * factor;
            var bytes = new byte[entry.ByteCount];
            StoredValues.Write(values, entry.Dtype, bytes);
            writer.Write(entry.Name, bytes);
        }
        writer.Complete();
    }
}
