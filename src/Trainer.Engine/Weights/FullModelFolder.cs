using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;
using Trainer.Numerics.Draws;

namespace Trainer.Engine.Weights;

/// <summary>Writes whole models in Hugging Face layout: fresh ones, and ones whose weights were all trained. For pre-training small models.</summary>
public static class FullModelFolder
{
    /// <summary>Writes model.safetensors with fresh weights for the config.json of a folder: matrices normal with the given deviation, norms 1 (0 where stored
    /// minus one), biases 0.</summary>
    /// <param name="folder">A folder with config.json.</param>
    /// <param name="seed">Seed of the weights.</param>
    /// <param name="deviation">Standard deviation of matrices; those that write to the residual stream take it divided by sqrt(2 x layers), as GPT-2
    /// does.</param>
    public static void WriteFresh(string folder, int seed, double deviation = 0.02)
    {
        var config = ConfigLoader.Load(folder);
        var blueprint = DecoderBlueprint.Of(config);
        var modules = blueprint.Stored.ToDictionary(module => module.WeightName, StringComparer.Ordinal);
        var norm = config.NormWeightPlusOne ? 0f : 1f;
        Write(folder,
            [.. blueprint.Stored.SelectMany(module => module.Tensors).Select(tensor => new TensorDeclaration(tensor.Name, SafetensorsDtype.F32, tensor.Shape))],
            (name, shape) =>
        {
            var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
            if (!modules.TryGetValue(name, out var module)) return values;
            if (module.Kind == ModuleKind.Norm) Array.Fill(values, norm);
            else Normal(values, seed, name, module.Role is ModuleRole.Output or ModuleRole.Down ? deviation / Math.Sqrt(2 * config.LayerCount) : deviation);
            return values;
        });
    }

    /// <summary>Writes model.safetensors (float32) of a model loaded with <see cref="ModelLoadOptions.TrainAllWeights"/>.</summary>
    /// <param name="folder">Where to; config.json is not written.</param>
    /// <param name="model">The model.</param>
    public static void WriteTrained(string folder, LoadedDecoder model)
    {
        if (!model.Options.TrainAllWeights) throw new ArgumentException("the model was not loaded to train all weights");
        var parameters = model.Parameters;
        Write(folder, [.. parameters.Entries.Select(entry => new TensorDeclaration(entry.Name, SafetensorsDtype.F32, [.. entry.Shape]))], (name, _) =>
        {
            var entry = parameters.Find(name)!;
            var values = new List<float>((int)entry.Count);
            parameters.Read(entry, part => values.AddRange(part));
            return [.. values];
        });
    }

    private static void Write(string folder, List<TensorDeclaration> tensors, Func<string, long[], float[]> values)
    {
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, ShardedModel.SingleFile), tensors, SafetensorsWriter.PyTorchMetadata);
        foreach (var entry in writer.Entries) writer.Write(entry.Name, MemoryMarshal.AsBytes(values(entry.Name, entry.Shape).AsSpan()));
        writer.Complete();
    }

    private static void Normal(float[] values, int seed, string name, double deviation)
    {
        var stream = 0xCBF2_9CE4_8422_2325UL;
        foreach (var c in name) stream = (stream ^ c) * 0x0000_0100_0000_01B3;
        var counter = stream ^ ((ulong)(uint)seed << 32);
        double Unit() => SplitMix64.Unit(SplitMix64.Mix(counter++));
        for (var i = 0; i < values.Length; i++) values[i] = (float)(deviation * Math.Sqrt(-2 * Math.Log(1 - Unit())) * Math.Cos(2 * Math.PI * Unit()));
    }
}
