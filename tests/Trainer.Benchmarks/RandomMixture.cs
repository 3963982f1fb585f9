using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;
using Trainer.Numerics.Nf4;

namespace Trainer.Benchmarks;

/// <summary>Model folders of the shapes of large mixtures with random weights, a file for each layer: experts in NF4 as <c>trainer quantize</c> writes them, or
/// in MXFP4 as gpt-oss is published.</summary>
internal static class RandomMixture
{
    private const int Part = 1 << 22, Bytes = 256;

    private static readonly Dictionary<string, string> Shapes = new()
    {
        ["35b-a3b"] = """
            {"model_type": "qwen3_5_moe_text", "vocab_size": 248320, "hidden_size": 2048, "num_hidden_layers": 40, "num_attention_heads": 16,
             "num_key_value_heads": 2, "head_dim": 256, "num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 512,
             "shared_expert_intermediate_size": 512, "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
             "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "full_attention_interval": 4, "max_position_embeddings": 262144,
             "rms_norm_eps": 1e-6, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
             "rope_parameters": {"rope_type": "default", "rope_theta": 10000000, "partial_rotary_factor": 0.25}}
            """,
        ["gpt-oss-20b"] = """
            {"model_type": "gpt_oss", "vocab_size": 201088, "hidden_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8,
             "head_dim": 64, "num_local_experts": 32, "num_experts_per_tok": 4, "intermediate_size": 2880, "sliding_window": 128,
             "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "rope_theta": 150000,
             "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096, "truncate": false}}
            """,
    };

    /// <summary>Whether a shape is one of these.</summary>
    public static bool Knows(string shape) => Shapes.ContainsKey(shape);

    /// <summary>Writes the folder.</summary>
    /// <param name="shape">Which.</param>
    /// <param name="folder">Folder to make.</param>
    /// <param name="layers">Fewer layers, or 0 for all.</param>
    /// <param name="progress">Called with files done and files in all.</param>
    public static void Write(string shape, string folder, int layers, Action<int, int> progress)
    {
        Directory.CreateDirectory(folder);
        var config = JsonNode.Parse(Shapes[shape])!.AsObject();
        if (layers > 0) config["num_hidden_layers"] = layers;
        config["eos_token_id"] = Bytes;
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        var drawing = DecoderBlueprint.Of(ConfigLoader.Load(folder));
        var isMxfp4 = drawing.Config.ModelType == "gpt_oss";
        var files = drawing.Stored.GroupBy(module => module.Layer).OrderBy(group => group.Key < 0 ? int.MaxValue : group.Key).ToList();
        var (index, random) = (new JsonObject(), new Noise(1));
        foreach (var (group, number) in files.Select((group, i) => (group, i + 1)))
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"model-{number:00000}-of-{files.Count:00000}.safetensors");
            List<Piece> pieces = [.. group.SelectMany(module => Pieces(module, isMxfp4))];
            foreach (var piece in pieces) index[piece.Tensor.Name] = name;
            using var writer = SafetensorsWriter.Create(Path.Combine(folder, name), pieces.Select(piece => piece.Tensor), SafetensorsWriter.PyTorchMetadata);
            foreach (var piece in pieces) piece.Write(writer, random);
            writer.Complete();
            progress(number, files.Count);
        }
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Tokenizer());
        config["quantization_config"] = isMxfp4 ? new JsonObject { ["quant_method"] = "mxfp4" } : Nf4Folder.QuantizationConfig("bfloat16", true);
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        File.WriteAllText(Path.Combine(folder, ShardedModel.IndexFile),
            new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = index }.ToJsonString());
    }

    // A token for each byte, written as GPT-2 writes bytes, and one that ends a text.
    private static string Tokenizer()
    {
        var vocabulary = new JsonObject();
        var others = 0;
        for (var value = 0; value < Bytes; value++)
            vocabulary[((char)(value is > 32 and < 127 or > 160 and not 173 ? value : Bytes + others++)).ToString()] = value;
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(new JsonObject { ["id"] = Bytes, ["content"] = "<|end|>", ["special"] = true, ["single_word"] = false,
                ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false }),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        }.ToJsonString();
    }

    private sealed record Piece(TensorDeclaration Tensor, Action<SafetensorsWriter, Noise> Write);

    private static IEnumerable<Piece> Pieces(ModuleBlueprint module, bool isMxfp4) => module.Kind switch
    {
        ModuleKind.Experts when isMxfp4 => ExpertTensors.Fused(module).SelectMany(tensor => tensor.Shape.Length == 3
            ? Mxfp4(tensor.Name, tensor.Shape) : [Plain(tensor.Name, tensor.Shape, 0.01f)]),
        ModuleKind.Experts => ExpertTensors.OfEach(module).SelectMany(tensor => Nf4(tensor.Name, tensor.Shape)),
        ModuleKind.Linear when !isMxfp4 && module.Layer >= 0 => Nf4(module.WeightName, module.Shape),
        ModuleKind.Norm or ModuleKind.Parameter => module.Tensors.Select(tensor => Plain(tensor.Name, tensor.Shape, 0.02f)),
        _ => module.Tensors.Select(tensor => Plain(tensor.Name, tensor.Shape, 1f / MathF.Sqrt(tensor.Shape[^1]))),
    };

    private static Piece Plain(string name, long[] shape, float size) => new(new(name, SafetensorsDtype.BF16, shape),
        (writer, random) => random.BFloat16(writer, name, shape.Aggregate(1L, (product, side) => product * side), size));

    // Codes of experts lie [experts, out, in/32, 16], the plain tensor [experts, in, out]; scales keep products the size of their input.
    private static IEnumerable<Piece> Mxfp4(string name, long[] shape)
    {
        long experts = shape[0], columns = shape[1], rows = shape[2], groups = columns / 32;
        var exponent = (byte)(127 - (int)Math.Round(Math.Log2(3 * Math.Sqrt(columns))));
        yield return new(new(name + "_blocks", SafetensorsDtype.U8, [experts, rows, groups, 16]),
            (writer, random) => random.Bytes(writer, name + "_blocks", experts * rows * groups * 16));
        yield return new(new(name + "_scales", SafetensorsDtype.U8, [experts, rows, groups]),
            (writer, _) => Filled(writer, name + "_scales", experts * rows * groups, exponent));
    }

    private static IEnumerable<Piece> Nf4(string name, long[] shape)
    {
        var count = shape[0] * shape[1];
        // Uniform codes have a standard deviation of about 0.55 absmax.
        var offset = 1.8f / MathF.Sqrt(shape[1]);
        var state = new Nf4QuantState(Nf4Codebook.BlockSize, "bfloat16", shape, Nf4Codebook.NestedBlockSize, offset).ToBytes();
        var nested = new float[Nf4Codebook.NestedBlocks(count)];
        Array.Fill(nested, offset * 0.01f);
        yield return new(new(name, SafetensorsDtype.U8, [Nf4Codebook.PackedBytes(count), 1]),
            (writer, random) => random.Bytes(writer, name, Nf4Codebook.PackedBytes(count)));
        yield return new(new(name + ".absmax", SafetensorsDtype.U8, [Nf4Codebook.Blocks(count)]),
            (writer, random) => random.Bytes(writer, name + ".absmax", Nf4Codebook.Blocks(count)));
        yield return Whole(name + ".quant_map", SafetensorsDtype.F32, 16, MemoryMarshal.AsBytes(Nf4Codebook.Values).ToArray());
        yield return Whole(name + ".nested_absmax", SafetensorsDtype.F32, nested.Length, MemoryMarshal.AsBytes<float>(nested).ToArray());
        yield return Whole(name + ".nested_quant_map", SafetensorsDtype.F32, 256, MemoryMarshal.AsBytes(DynamicMap.Values).ToArray());
        yield return Whole(name + Nf4Folder.StateSuffix, SafetensorsDtype.U8, state.Length, state);
    }

    private static Piece Whole(string name, SafetensorsDtype dtype, long count, byte[] bytes)
        => new(new(name, dtype, [count]), (writer, _) => writer.Write(name, bytes));

    private static void Filled(SafetensorsWriter writer, string name, long count, byte value)
    {
        var part = new byte[Math.Min(Part, count)];
        Array.Fill(part, value);
        for (long at = 0; at < count; at += part.Length) writer.Write(name, part.AsSpan(0, (int)Math.Min(part.Length, count - at)));
    }

    // One block of noise, begun elsewhere for each tensor: making new noise would take longer than writing it.
    private sealed class Noise
    {
        private readonly byte[] _bytes = new byte[2 * Part];
        private readonly Random _random;

        public Noise(int seed)
        {
            _random = new Random(seed);
            _random.NextBytes(_bytes);
        }

        public void Bytes(SafetensorsWriter writer, string name, long count)
        {
            for (long at = 0; at < count; at += Part) writer.Write(name, _bytes.AsSpan(_random.Next(Part), (int)Math.Min(Part, count - at)));
        }

        // Uniform in plus or minus the size.
        public void BFloat16(SafetensorsWriter writer, string name, long count, float size)
        {
            var part = new ushort[Math.Min(Part / 2, count)];
            for (var i = 0; i < part.Length; i++) part[i] = (ushort)(BitConverter.SingleToUInt32Bits(size * (2 * _random.NextSingle() - 1)) >> 16);
            for (long at = 0; at < count; at += part.Length)
                writer.Write(name, MemoryMarshal.AsBytes(part.AsSpan(0, (int)Math.Min(part.Length, count - at))));
        }
    }
}
