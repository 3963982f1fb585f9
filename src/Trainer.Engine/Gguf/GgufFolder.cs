using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;

namespace Trainer.Engine;

/// <summary>
/// A GGUF model laid out once as the folder that transformers would have: config.json, tokenizer, template, and the tensors under their names there. Quantized
/// matrices keep the file's blocks byte for byte (<see cref="GgufLayout"/>), so they are neither rounded again nor larger; llama.cpp's orders and shifts are undone by moving whole rows.
/// </summary>
public static class GgufFolder
{
    private const int BytesAtOnce = 1 << 24;

    /// <summary>The folder of a file, made now if it is not there.</summary>
    /// <param name="path">The .gguf file.</param>
    /// <param name="cache">Where such folders lie; each file's is named by its path, length and time.</param>
    /// <param name="making">Told the folder before it is made; null tells nobody.</param>
    /// <exception cref="ModelException">The file is not read: architecture, tensor or key are named.</exception>
    /// <exception cref="BadFileException">It is damaged, or its tokenizer is not read.</exception>
    /// <exception cref="CannotWriteException">The cache cannot be written.</exception>
    public static string Of(string path, string cache, Action<string>? making = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var (full, info) = (Path.GetFullPath(path), new FileInfo(path));
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{full}\0{info.Length}\0{info.LastWriteTimeUtc.Ticks}")))[..16];
        var folder = Path.Combine(cache, $"{Path.GetFileNameWithoutExtension(full)}-{key}");
        if (Directory.Exists(folder)) return folder;
        making?.Invoke(folder);
        try
        {
            Directory.CreateDirectory(cache);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CannotWriteException($"cannot make '{cache}': {fault.Message.TrimEnd('.')}; set TRAINER_CACHE to a folder that can be written", fault);
        }
        AtomicFolder.Write(folder, temporary => Make(path, temporary));
        return folder;
    }

    /// <summary>Writes the files into an existing folder.</summary>
    public static void Make(string path, string folder)
    {
        using var file = GgufFile.Open(path);
        var config = GgufConfig.Of(file);
        GgufTokenizer.Write(file, folder);
        WriteConfig(folder, config);
        var model = ConfigLoader.Load(folder);
        var plan = Plan(file, model);
        if (plan.Any(part => part.IsCoded))
        {
            config["quantization_config"] = new JsonObject { ["quant_method"] = "gguf" };
            WriteConfig(folder, config);
        }
        DiskSpace.Require(folder, plan.Sum(part => part.ByteCount), "the GGUF file's folder");
        using var writer = SafetensorsWriter.Create(Path.Combine(folder, ShardedModel.SingleFile), plan.Select(part => part.Declaration), SafetensorsWriter.PyTorchMetadata);
        foreach (var part in plan) Copy(file, writer, part);
        writer.Complete();
    }

    private static void WriteConfig(string folder, JsonObject config) => File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));

    /// <summary>A tensor of the folder, and where its rows lie in the file.</summary>
    private sealed record Part(string Name, long[] Shape, GgufTensor Source)
    {
        /// <summary>First byte in the source: an expert's matrix is a part of one tensor of all.</summary>
        public long Begin { get; init; }

        /// <summary>Rows of a head whose order llama.cpp changed, or 0.</summary>
        public int HeadSize { get; init; }

        /// <summary>Added to each value on the way: minus one for norms that the file holds with their one.</summary>
        public float Shift { get; init; }

        /// <summary>Blocks become float32: tables of tokens are read by row.</summary>
        public bool IsDecoded { get; init; }

        public bool IsCoded => GgufDecoder.Types.Contains(Source.Type) && !IsDecoded;

        public long Columns => Shape[^1];

        public long Rows => Shape.Length == 1 ? 1 : Shape[0];

        public long SourceRowBytes => Source.Type.ByteCount([Columns]) ?? 0;

        public long ByteCount => Rows * (IsDecoded ? 4 * Columns : SourceRowBytes);

        public TensorDeclaration Declaration => IsCoded
            ? new(GgufLayout.NameOf(Name, Source.Type), SafetensorsDtype.U8, [Rows, SourceRowBytes])
            : new(Name, IsDecoded ? SafetensorsDtype.F32 : Source.Type switch { GgufTensorType.F32 => SafetensorsDtype.F32, GgufTensorType.F16 => SafetensorsDtype.F16, _ => SafetensorsDtype.BF16 }, Shape);
    }

    private static List<Part> Plan(GgufFile file, ModelConfig config)
    {
        var (blueprint, architecture) = (DecoderBlueprint.Of(config), GgufArchitecture.Of(config.ModelType)!);
        var (parts, used) = (new List<Part>(), new HashSet<string>(StringComparer.Ordinal) { "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight" });
        GgufTensor Source(string name, long[] shape)
        {
            if (!file.ByName.TryGetValue(name, out var tensor)) throw GgufConfig.Bad(file, $"tensor '{name}' is missing");
            if (!tensor.Dimensions.Reverse().SequenceEqual(shape)) throw GgufConfig.Bad(file, $"tensor '{name}' has shape [{string.Join(", ", tensor.Dimensions.Reverse())}], its metadata needs [{string.Join(", ", shape)}]");
            if (tensor.Type is not (GgufTensorType.F32 or GgufTensorType.F16 or GgufTensorType.BF16) && !GgufDecoder.Types.Contains(tensor.Type))
                throw GgufConfig.Bad(file, $"tensor '{name}' is of type {tensor.Type}, which is not read (F32, F16, BF16, {string.Join(", ", GgufDecoder.Types)} are)");
            used.Add(name);
            return tensor;
        }
        foreach (var module in blueprint.Stored)
        {
            if (module.Kind == ModuleKind.Experts) parts.AddRange(Experts(module, Source));
            else
            {
                var heads = (architecture.IsPermuted, module.Role) is (true, ModuleRole.Query or ModuleRole.Key) ? config.HeadSize : 0;
                foreach (var (name, shape) in module.Tensors)
                {
                    var source = Source($"{GgufArchitecture.NameOf(module)}.{(name == module.BiasName ? "bias" : "weight")}", shape);
                    parts.Add(new Part(name, shape, source)
                    {
                        HeadSize = heads,
                        Shift = config.NormWeightPlusOne && module.Kind == ModuleKind.Norm ? -1 : 0,
                        IsDecoded = GgufDecoder.Types.Contains(source.Type) && module.Kind != ModuleKind.Linear,
                    });
                }
            }
        }
        // Another program may name what it finds of no use; a model's own tensor that nothing takes means the metadata is wrong.
        if (file.Tensors.FirstOrDefault(tensor => !used.Contains(tensor.Name)) is { } left) throw GgufConfig.Bad(file, $"tensor '{left.Name}' belongs to nothing in the model that its metadata describes");
        return parts;
    }

    private static IEnumerable<Part> Experts(ModuleBlueprint module, Func<string, long[], GgufTensor> source)
    {
        var count = module.Experts!.Experts;
        string[] names = ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"];
        var shapes = ExpertTensors.Own(module, 0);
        for (var p = 0; p < names.Length; p++)
        {
            var shape = shapes[p].Shape;
            var all = source($"blk.{module.Layer}.{names[p]}.weight", [count, .. shape]);
            for (var e = 0; e < count; e++) yield return new Part(ExpertTensors.Own(module, e)[p].Name, shape, all) { Begin = all.ByteCount / count * e };
        }
    }

    private static void Copy(GgufFile file, SafetensorsWriter writer, Part part)
    {
        // A permuted vector's elements move as rows of one value do.
        var (rows, rowBytes) = part.HeadSize > 0 && part.Shape.Length == 1 ? (part.Columns, part.SourceRowBytes / part.Columns) : (part.Rows, part.SourceRowBytes);
        var unit = part.HeadSize > 0 ? part.HeadSize : 1;
        var step = Math.Max(1, BytesAtOnce / (rowBytes * unit)) * unit;
        for (long row = 0; row < rows; row += step)
        {
            var count = Math.Min(step, rows - row);
            var bytes = file.Read(part.Source, part.Begin + row * rowBytes, checked((int)(count * rowBytes)));
            if (part.HeadSize > 0) bytes = Halves(bytes, part.HeadSize, (int)rowBytes);
            if (part.IsDecoded) bytes = Decoded(bytes, part.Source.Type);
            if (part.Shift != 0) Shift(bytes, part);
            writer.Write(part.Declaration.Name, bytes);
        }
    }

    private static byte[] Halves(byte[] paired, int headSize, int rowBytes)
    {
        var halves = new byte[paired.Length];
        for (long row = 0; row < paired.Length / rowBytes; row++)
            paired.AsSpan((int)(RotaryOrder.Interleaved(row, headSize) * rowBytes), rowBytes).CopyTo(halves.AsSpan((int)(row * rowBytes)));
        return halves;
    }

    private static unsafe byte[] Decoded(byte[] blocks, GgufTensorType type)
    {
        var (elements, size) = type.Block()!.Value;
        var values = new byte[blocks.Length / size * elements * 4];
        fixed (byte* from = blocks, to = values)
        {
            for (var block = 0; block < blocks.Length / size; block++) GgufDecoder.Decode(type, from + (long)block * size, (float*)to + (long)block * elements);
        }
        return values;
    }

    private static void Shift(byte[] bytes, Part part)
    {
        if (part.Source.Type != GgufTensorType.F32) throw new ModelException($"tensor '{part.Source.Name}' is of type {part.Source.Type}; norms of a GGUF file are read in F32 alone");
        foreach (ref var value in MemoryMarshal.Cast<byte, float>(bytes.AsSpan())) value += part.Shift;
    }
}
