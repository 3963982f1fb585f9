using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Json;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Weights;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Quantize;

/// <summary>
/// Writes an NF4 model folder in bitsandbytes' layout, which transformers loads as it is. One tensor is in memory at a time, as codes and scales;
/// its fp32 values exist in small pieces alone.
/// </summary>
public static unsafe class ModelQuantizer
{
    private const int PieceElements = 1 << 20;

    /// <summary>Quantizes every linear weight of the decoder layers, each expert's by itself; embeddings, head, norms, routers and biases are copied.</summary>
    /// <param name="source">A model folder in F32, F16 or BF16, or in another tool's codes, which are read exactly and quantized anew.</param>
    /// <param name="target">The folder to make; work that was broken off is continued.</param>
    /// <param name="options">How.</param>
    /// <param name="cancel">Looked at before each tensor; what is done is kept.</param>
    /// <exception cref="ModelException">The source cannot be used, or is in NF4 already.</exception>
    /// <exception cref="BadFileException">A file of the source is damaged.</exception>
    /// <exception cref="CannotWriteException">The target cannot be written.</exception>
    public static QuantizeReport Quantize(string source, string target, QuantizeOptions options, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var config = ConfigLoader.Load(source);
        using var model = ShardedModel.Open(source, config.TiedEmbeddings);
        using var coded = CodedParts.Of(source, config);
        var parts = Parts(source, config, model, coded, options);
        FolderCheck.Require(source);
        var byName = parts.ToDictionary(part => part.Group.Name, StringComparer.Ordinal);
        List<TensorGroup> groups = [.. parts.Select(part => part.Group)];
        var plan = new ModelFolderPlan
        {
            Target = target,
            Groups = groups,
            Identity = $"nf4 double {options.DoubleQuantize} of {SourceIdentity.Of(model)}",
            MaxShardBytes = options.MaxShardBytes,
            Progress = options.Progress,
        };
        ModelFolderWriter.Write(plan, (group, sink) => byName[group.Name].Write(group, sink), folder => Finish(source, folder, parts, options),
            cancel);
        using var written = ShardedModel.Open(target);
        var count = groups.Count(group => !group.IsExact);
        return new QuantizeReport(count, groups.Count - count, model.TotalBytes, written.TotalBytes);
    }

    /// <summary>The weights of the layers' linears, which is what bitsandbytes quantizes when the head is skipped.</summary>
    /// <param name="config">The model.</param>
    /// <param name="stored">Names of the folder's tensors.</param>
    /// <returns>Those of them, as the folder has them.</returns>
    public static IReadOnlySet<string> WeightNames(ModelConfig config, IEnumerable<string> stored)
    {
        ArgumentNullException.ThrowIfNull(config);
        var blueprint = DecoderBlueprint.Of(config);
        var names = blueprint.Linears.Select(module => module.WeightName)
            .Concat(blueprint.Modules.SelectMany(ExpertTensors.OfEach).Select(tensor => tensor.Name)).ToHashSet(StringComparer.Ordinal);
        return stored.Where(name => config.ModuleTensor(name) is { } own && names.Contains(own)).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Quantizes one stored weight.</summary>
    /// <param name="file">The file that holds it.</param>
    /// <param name="entry">The weight.</param>
    /// <param name="doubleQuantize">Quantize the scales too.</param>
    /// <param name="threads">Threads to use.</param>
    public static Nf4Bytes QuantizeWeight(SafetensorsFile file, SafetensorsEntry entry, bool doubleQuantize, int threads)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var count = entry.ElementCount;
        var packed = new byte[Nf4Codebook.PackedBytes(count)];
        var absmax = new float[Nf4Codebook.Blocks(count)];
        try
        {
            Parallel.For(0, (count + PieceElements - 1) / PieceElements, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) },
                () => new float[Math.Min(PieceElements, count)], (piece, _, values) =>
            {
                var begin = piece * PieceElements;
                var length = (int)Math.Min(PieceElements, count - begin);
                StoredValues.Read(file, entry, begin, values.AsSpan(0, length));
                fixed (float* input = values, scales = absmax)
                fixed (byte* codes = packed)
                    Nf4Quantizer.Quantize(input, codes, scales, begin, begin + length);
                return values;
            }, _ => { });
        }
        catch (AggregateException fault) when (fault.InnerExceptions.OfType<ModelException>().FirstOrDefault() is { } inner)
        {
            throw inner;
        }
        var dtype = StoredValues.TorchName(entry.Dtype);
        var map = MemoryMarshal.AsBytes(Nf4Codebook.Values).ToArray();
        if (!doubleQuantize)
            return new Nf4Bytes(new Nf4QuantState(Nf4Codebook.BlockSize, dtype, entry.Shape, null, null), packed,
                MemoryMarshal.AsBytes<float>(absmax).ToArray(), map, default, default);
        var nestedCodes = new byte[absmax.Length];
        var nested = new float[Nf4Codebook.NestedBlocks(count)];
        var offset = NestedAbsmax.Quantize(absmax, nestedCodes, nested);
        return new Nf4Bytes(new Nf4QuantState(Nf4Codebook.BlockSize, dtype, entry.Shape, Nf4Codebook.NestedBlockSize, offset), packed, nestedCodes, map,
            MemoryMarshal.AsBytes<float>(nested).ToArray(), MemoryMarshal.AsBytes(DynamicMap.Values).ToArray());
    }

    // A tensor of the result: of a tensor of the source, or of one expert's part of a tensor of all.
    private sealed record Part(TensorGroup Group, SafetensorsDtype Dtype, Action<TensorGroup, TensorSink> Write);

    private static List<Part> Parts(string source, ModelConfig config, ShardedModel model, CodedParts? coded, QuantizeOptions options)
    {
        var (parts, experts, quantized) = (new List<Part>(), new ExpertSlices(config), WeightNames(config, model.Tensors.Keys));
        foreach (var name in model.Tensors.Keys.Where(name => coded?.Owns(name) != true))
        {
            var (file, entry) = (model.FileOf(name), model.Entry(name));
            var slices = experts.Of(entry, source);
            foreach (var slice in slices) parts.Add(Quantized(slice.Entry, file, () => slice.Quantize(file, options.DoubleQuantize)));
            if (slices.Count > 0) continue;
            parts.Add(quantized.Contains(name) ? Quantized(entry, file, () => QuantizeWeight(file, entry, options.DoubleQuantize, options.Threads))
                : new Part(Plain(entry.Name, entry.Dtype, entry.Shape), entry.Dtype, (group, sink) => Copy(file, entry, group, sink)));
        }
        foreach (var part in coded?.Parts ?? [])
            parts.Add(part.Quantize is { } quantize
                ? new Part(Nf4Folder.Group(part.Name, part.ElementCount, options.DoubleQuantize), part.Dtype, (group, sink) =>
                {
                    Nf4Folder.Write(sink, group, quantize(options.DoubleQuantize));
                    coded!.DropPages();
                })
                : new Part(Plain(part.Name, part.Dtype, part.Shape), part.Dtype, (group, sink) => Decode(coded!, part, group, sink)));
        return [.. parts.OrderBy(part => part.Group.Name, Comparer<string>.Create(ModelFolderFiles.CompareNames))];

        Part Quantized(SafetensorsEntry entry, SafetensorsFile file, Func<Nf4Bytes> quantize)
            => new(Nf4Folder.Group(entry.Name, entry.ElementCount, options.DoubleQuantize), entry.Dtype, (group, sink) =>
            {
                Nf4Folder.Write(sink, group, quantize());
                MappedPages.Drop(file.Pointer(entry), entry.ByteCount);
            });
    }

    private static TensorGroup Plain(string name, SafetensorsDtype dtype, long[] shape) => new(name, [new TensorDeclaration(name, dtype, shape)]);

    private static void Copy(SafetensorsFile file, SafetensorsEntry entry, TensorGroup group, TensorSink sink)
    {
        const int step = 1 << 24;
        for (long at = 0; at < entry.ByteCount; at += step)
            sink.Write(group.Tensors[0], file.Bytes(entry, at, (int)Math.Min(step, entry.ByteCount - at)));
        // One tensor is in memory at a time, in the source's mapping too.
        MappedPages.Drop(file.Pointer(entry), entry.ByteCount);
    }

    // What bitsandbytes keeps plain, a head for one, is written in the type of the folder's other weights.
    private static void Decode(CodedParts coded, CodedPart part, TensorGroup group, TensorSink sink)
    {
        for (long at = 0; at < part.ElementCount; at += PieceElements)
        {
            var values = new float[Math.Min(PieceElements, part.ElementCount - at)];
            coded.Read(part.Name, at, values);
            if (StoredValues.FirstOverflow(values, part.Dtype) is >= 0 and var wrong)
                throw new ModelException($"tensor '{part.Name}' holds {values[wrong]}, which {part.Dtype.Name()} cannot hold; take the original model");
            var bytes = new byte[values.Length * part.Dtype.Bits() / 8];
            StoredValues.Write(values, part.Dtype, bytes);
            sink.Write(group.Tensors[0], bytes);
        }
    }

    private static void Finish(string source, string folder, List<Part> parts, QuantizeOptions options)
    {
        var config = (JsonObject)PythonJson.ParseNode(SmallFile.Bytes(Path.Combine(source, "config.json")))!;
        var first = parts.FirstOrDefault(part => !part.Group.IsExact)
            ?? throw new ModelException($"model '{source}' has no linear weight that could be quantized; pass a decoder model");
        config["quantization_config"] = Nf4Folder.QuantizationConfig(StoredValues.TorchName(first.Dtype), options.DoubleQuantize);
        File.WriteAllText(Path.Combine(folder, "config.json"), PythonJson.Serialize(config) + "\n");
        ModelFolderFiles.CopyCompanions(source, folder);
    }
}
