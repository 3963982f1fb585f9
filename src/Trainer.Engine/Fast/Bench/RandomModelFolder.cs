using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Numerics.Draws;
using Trainer.Numerics.Half;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Fast.Bench;

/// <summary>Writes a model folder of any shape with random NF4 weights, one tensor part at a time: what measures speed and memory needs no download.</summary>
public static class RandomModelFolder
{
    private const int Part = 1 << 22;

    /// <summary>Bytes that <see cref="Write"/> puts on the disk, headers apart.</summary>
    /// <param name="shape">The shape.</param>
    public static long BytesOf(ModelShape shape)
    {
        long layer = shape.LayerParameters, blocks = Nf4Codebook.Blocks(layer);
        return layer / 2 + blocks + blocks / 64 + (shape.Tied ? 1L : 2L) * shape.Vocabulary * shape.Hidden * 2;
    }

    /// <summary>Writes the folder: config.json, an index, one file for each layer and one for embedding and head.</summary>
    /// <param name="folder">Folder to make.</param>
    /// <param name="shape">The shape.</param>
    /// <param name="seed">Seed of the weights.</param>
    /// <param name="progress">Called with layers done and layers in all.</param>
    /// <exception cref="CannotWriteException">No space or no right.</exception>
    public static void Write(string folder, ModelShape shape, ulong seed, Action<int, int>? progress = null)
    {
        Directory.CreateDirectory(folder);
        var index = new JsonObject();
        var files = shape.Layers + 1;
        for (var l = 0; l < shape.Layers; l++)
        {
            var file = FileName(l + 1, files);
            WriteLayer(Path.Combine(folder, file), shape, l, seed + (ulong)l * 1000, name => index[name] = file);
            progress?.Invoke(l + 1, shape.Layers);
        }
        var rest = FileName(files, files);
        WriteEnds(Path.Combine(folder, rest), shape, seed + 999, name => index[name] = rest);
        File.WriteAllText(Path.Combine(folder, "config.json"), shape.ConfigJson());
        File.WriteAllText(Path.Combine(folder, ShardedModel.IndexFile),
            new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = index }.ToJsonString());
    }

    private static string FileName(int number, int of) => string.Create(CultureInfo.InvariantCulture, $"model-{number:00000}-of-{of:00000}.safetensors");

    private static void WriteLayer(string path, ModelShape shape, int layer, ulong seed, Action<string> add)
    {
        var prefix = $"model.layers.{layer}.";
        long query = shape.Heads * shape.HeadSize, kv = shape.KvHeads * shape.HeadSize;
        (string Name, long Rows, long Columns)[] linears =
        [
            ("self_attn.q_proj", query, shape.Hidden), ("self_attn.k_proj", kv, shape.Hidden), ("self_attn.v_proj", kv, shape.Hidden),
            ("self_attn.o_proj", shape.Hidden, query),
            ("mlp.gate_proj", shape.Wide, shape.Hidden), ("mlp.up_proj", shape.Wide, shape.Hidden), ("mlp.down_proj", shape.Hidden, shape.Wide),
        ];
        string[] norms = ["input_layernorm", "post_attention_layernorm"];
        var states = linears.ToDictionary(linear => linear.Name, linear => State(linear.Rows, linear.Columns));
        var tensors = norms.Select(norm => new TensorDeclaration($"{prefix}{norm}.weight", SafetensorsDtype.BF16, [shape.Hidden])).ToList();
        foreach (var (name, rows, columns) in linears)
        {
            var count = rows * columns;
            var weight = $"{prefix}{name}.weight";
            tensors.Add(new TensorDeclaration(weight, SafetensorsDtype.U8, [Nf4Codebook.PackedBytes(count), 1]));
            tensors.Add(new TensorDeclaration(weight + ".absmax", SafetensorsDtype.U8, [Nf4Codebook.Blocks(count)]));
            tensors.Add(new TensorDeclaration(weight + ".quant_map", SafetensorsDtype.F32, [16]));
            tensors.Add(new TensorDeclaration(weight + ".nested_absmax", SafetensorsDtype.F32, [Nf4Codebook.NestedBlocks(count)]));
            tensors.Add(new TensorDeclaration(weight + ".nested_quant_map", SafetensorsDtype.F32, [256]));
            tensors.Add(new TensorDeclaration(weight + Nf4Folder.StateSuffix, SafetensorsDtype.U8, [states[name].Length]));
        }
        foreach (var tensor in tensors) add(tensor.Name);
        using var writer = SafetensorsWriter.Create(path, tensors, SafetensorsWriter.PyTorchMetadata);
        var stream = new RandomBytes(seed);
        foreach (var norm in norms) WriteFilled(writer, $"{prefix}{norm}.weight", shape.Hidden, 1f);
        foreach (var (name, rows, columns) in linears)
        {
            var count = rows * columns;
            var weight = $"{prefix}{name}.weight";
            stream.Write(writer, weight, Nf4Codebook.PackedBytes(count));
            stream.Write(writer, weight + ".absmax", Nf4Codebook.Blocks(count));
            writer.Write(weight + ".quant_map", MemoryMarshal.AsBytes(Nf4Codebook.Values));
            // Absmax values a little around their mean: a hundredth of it.
            var nested = new float[Nf4Codebook.NestedBlocks(count)];
            Array.Fill(nested, Offset(columns) * 0.01f);
            writer.Write(weight + ".nested_absmax", MemoryMarshal.AsBytes(nested.AsSpan()));
            writer.Write(weight + ".nested_quant_map", MemoryMarshal.AsBytes(DynamicMap.Values));
            writer.Write(weight + Nf4Folder.StateSuffix, states[name]);
        }
        writer.Complete();
    }

    private static void WriteEnds(string path, ModelShape shape, ulong seed, Action<string> add)
    {
        var count = (long)shape.Vocabulary * shape.Hidden;
        string[] matrices = shape.Tied ? ["model.embed_tokens.weight"] : ["model.embed_tokens.weight", "lm_head.weight"];
        var tensors = matrices.Select(name => new TensorDeclaration(name, SafetensorsDtype.BF16, [shape.Vocabulary, shape.Hidden]))
            .Append(new TensorDeclaration("model.norm.weight", SafetensorsDtype.BF16, [shape.Hidden])).ToList();
        foreach (var tensor in tensors) add(tensor.Name);
        using var writer = SafetensorsWriter.Create(path, tensors, SafetensorsWriter.PyTorchMetadata);
        var stream = new RandomBytes(seed);
        foreach (var name in matrices) stream.WriteBFloat16(writer, name, count, 1f / MathF.Sqrt(shape.Hidden));
        WriteFilled(writer, "model.norm.weight", shape.Hidden, 1f);
        writer.Complete();
    }

    private static void WriteFilled(SafetensorsWriter writer, string name, int count, float value)
    {
        var bits = new ushort[count];
        Array.Fill(bits, BFloat16Bits.FromFloat(value));
        writer.Write(name, MemoryMarshal.AsBytes(bits.AsSpan()));
    }

    // Uniform codes have a standard deviation of about 0.55 absmax; products should keep the size of their input.
    private static float Offset(long columns) => 1.8f / MathF.Sqrt(columns);

    private static byte[] State(long rows, long columns)
        => new Nf4QuantState(Nf4Codebook.BlockSize, "bfloat16", [rows, columns], Nf4Codebook.NestedBlockSize, Offset(columns)).ToBytes();

    private sealed class RandomBytes(ulong seed)
    {
        private readonly ulong[] _part = new ulong[Part / sizeof(ulong)];
        private ulong _state = seed;

        public void Write(SafetensorsWriter writer, string name, long bytes)
        {
            for (long at = 0; at < bytes; at += Part)
            {
                Fill();
                writer.Write(name, MemoryMarshal.AsBytes(_part.AsSpan())[..(int)Math.Min(Part, bytes - at)]);
            }
        }

        /// <summary>Uniform in plus or minus <paramref name="size"/>.</summary>
        public void WriteBFloat16(SafetensorsWriter writer, string name, long count, float size)
        {
            var bits = new ushort[Part / sizeof(ushort)];
            for (long at = 0; at < count; at += bits.Length)
            {
                Fill();
                var random = MemoryMarshal.Cast<ulong, short>(_part);
                for (var i = 0; i < bits.Length; i++) bits[i] = BFloat16Bits.FromFloat(random[i] / 32768f * size);
                writer.Write(name, MemoryMarshal.AsBytes(bits.AsSpan(0, (int)Math.Min(bits.Length, count - at))));
            }
        }

        private void Fill()
        {
            for (var i = 0; i < _part.Length; i++) _part[i] = SplitMix64.Next(ref _state);
        }
    }
}
