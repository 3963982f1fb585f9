using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Folders;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Nf4;
using Trainer.Checkpoints.Safetensors;
using Trainer.Models;
using Trainer.Models.Config;
using Trainer.Models.Families;
using Trainer.Numerics.Nf4;

namespace Trainer.Engine.Quantize;

/// <summary>
/// The tensors of a model folder by their own names as fp32, whatever their stored form: dense, NF4 as bitsandbytes stores it, other codes
/// (<see cref="StoredFormat"/>), or dense seen through an NF4 quantization that was never written. A range at a time; the codes of one quantized tensor are
/// kept.
/// </summary>
public sealed unsafe class BaseTensors : IDisposable
{
    private static readonly string[] Parts = [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", Nf4Folder.StateSuffix];

    private readonly ShardedModel _model;
    private readonly IReadOnlySet<string> _rounded;
    private readonly bool _isDouble;
    private readonly int _threads;
    private readonly CodedTensors? _coded;
    private (string Name, Nf4Bytes Bytes)? _codes;

    private BaseTensors(ShardedModel model, IReadOnlySet<string> rounded, bool isDouble, int threads)
    {
        (_model, _rounded, _isDouble, _threads) = (model, rounded, isDouble, threads);
        _coded = CodedTensors.Of(model.Folder);
        var shapes = new Dictionary<string, (long[], SafetensorsDtype)>(StringComparer.Ordinal);
        if (_coded is not null)
            foreach (var (name, shape) in _coded.Shapes) shapes[name] = shape;
        foreach (var (name, entry) in model.Tensors)
        {
            if (shapes.ContainsKey(name) || _coded?.IsPart(name) == true) continue;
            if (Parts.Any(part => name.EndsWith(part, StringComparison.Ordinal))) continue;
            shapes[name] = IsStoredNf4(name) && State(name) is { } state ? (state.Shape, OfTorchName(state.Dtype, name)) : (entry.Shape, entry.Dtype);
        }
        Shapes = shapes;
        ByPlainName = shapes.Keys.GroupBy(TensorNames.OfTextModel).ToDictionary(group => group.Key, group => group.First(), StringComparer.Ordinal);
        Names = [.. shapes.Keys.Order(Comparer<string>.Create(ModelFolderFiles.CompareNames))];
    }

    /// <summary>Names of the tensors, quantization's own parts left out, in the order of layers.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Names of the tensors by those they have in a text model of its own.</summary>
    public IReadOnlyDictionary<string, string> ByPlainName { get; }

    /// <summary>Shape and type of each tensor before quantization.</summary>
    public IReadOnlyDictionary<string, (long[] Shape, SafetensorsDtype Dtype)> Shapes { get; }

    /// <summary>The files, the names of the tensors in each as they are stored, and the bytes of those.</summary>
    internal IEnumerable<(string Path, IReadOnlyList<string> Names, long Bytes)> StoredFiles =>
        _model.Files.Select(file => (file.Path, (IReadOnlyList<string>)[.. file.Entries.Select(entry => entry.Name)],
        file.Entries.Sum(entry => entry.ByteCount)));

    /// <summary>Tells a changed base from the same one; see <see cref="SourceIdentity"/>.</summary>
    public string Identity() => SourceIdentity.Of(_model);

    /// <summary>Maps the weights of a folder.</summary>
    /// <param name="folder">A model folder, dense or NF4.</param>
    /// <param name="throughNf4">Give linear weights of a dense folder the values they have after NF4 quantization.</param>
    /// <param name="doubleQuantize">With that, quantize the scales too.</param>
    /// <param name="threads">Threads that quantize.</param>
    public static BaseTensors Open(string folder, bool throughNf4 = false, bool doubleQuantize = true, int threads = 1)
    {
        var model = ShardedModel.Open(folder, ConfigLoader.Load(folder).TiedEmbeddings);
        try
        {
            return new BaseTensors(model, throughNf4 ? ModelQuantizer.WeightNames(ConfigLoader.Load(folder), model.Tensors.Keys) : new HashSet<string>(),
                doubleQuantize, threads);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Reads elements [begin, begin + values.Length) of a tensor.</summary>
    public void Read(string name, long begin, Span<float> values)
    {
        if (_coded?.Shapes.ContainsKey(name) == true)
        {
            _coded.Read(name, begin, values);
            return;
        }
        var entry = _model.Entry(name);
        if (!IsStoredNf4(name) && !_rounded.Contains(name))
        {
            StoredValues.Read(_model.FileOf(name), entry, begin, values);
            return;
        }
        var codes = _codes is { } kept && kept.Name == name ? kept.Bytes : Codes(name, entry);
        _codes = (name, codes);
        Dequantize(codes, begin, values);
    }

    /// <summary>The stored bytes of a dense tensor, in parts, with no conversion.</summary>
    public void Copy(string name, Action<ReadOnlySpan<byte>> part)
    {
        const int size = 1 << 24;
        var (file, entry) = (_model.FileOf(name), _model.Entry(name));
        for (long at = 0; at < entry.ByteCount; at += size) part(file.Bytes(entry, at, (int)Math.Min(size, entry.ByteCount - at)));
    }

    /// <summary>Whether <see cref="Read"/> gives other values than the stored bytes, so that <see cref="Copy"/> must not be used.</summary>
    public bool IsConverted(string name) => _coded?.Shapes.ContainsKey(name) == true || IsStoredNf4(name) || _rounded.Contains(name);

    /// <summary>Unmaps the files.</summary>
    public void Dispose()
    {
        _coded?.Dispose();
        _model.Dispose();
    }

    private bool IsStoredNf4(string name) => _model.Tensors.ContainsKey(name + Nf4Folder.StateSuffix);

    private Nf4QuantState State(string name) => Nf4QuantState.Parse(_model.Bytes(name + Nf4Folder.StateSuffix), name);

    private static SafetensorsDtype OfTorchName(string dtype, string name) => dtype switch
    {
        "float32" => SafetensorsDtype.F32,
        "float16" => SafetensorsDtype.F16,
        "bfloat16" => SafetensorsDtype.BF16,
        _ => throw new ModelException($"tensor '{name}' was quantized from '{dtype}'; take a model quantized from float32, float16 or bfloat16"),
    };

    private Nf4Bytes Codes(string name, SafetensorsEntry entry)
    {
        if (!IsStoredNf4(name)) return ModelQuantizer.QuantizeWeight(_model.FileOf(name), entry, _isDouble, _threads);
        var state = State(name);
        var count = state.Shape.Aggregate(1L, (product, side) => checked(product * side));
        var nested = state.NestedOffset is not null;
        var codes = new Nf4Bytes(state, _model.Bytes(name).ToArray(), Part(".absmax"), Part(".quant_map"), nested ? Part(".nested_absmax") : default,
            nested ? Part(".nested_quant_map") : default);
        var blocks = Nf4Codebook.Blocks(count);
        var fits = codes.Packed.Length == Nf4Codebook.PackedBytes(count) && codes.Absmax.Length == (nested ? blocks : 4 * blocks)
            && (!nested || (codes.NestedAbsmax.Length == 4 * Nf4Codebook.NestedBlocks(count) && codes.NestedQuantMap.Length == 1024));
        if (!fits || state.BlockSize != Nf4Codebook.BlockSize || (nested && state.NestedBlockSize != Nf4Codebook.NestedBlockSize)
            || !codes.QuantMap.Span.SequenceEqual(MemoryMarshal.AsBytes(Nf4Codebook.Values)))
            throw new ModelException($"tensor '{name}' of '{_model.Folder}': its codes, scales and quant_state do not belong together, or its block sizes are "
                + "not 64 and 256; take the folder as bitsandbytes wrote it");
        return codes;

        ReadOnlyMemory<byte> Part(string suffix) => _model.Bytes(name + suffix).ToArray();
    }

    private static void Dequantize(Nf4Bytes codes, long begin, Span<float> values)
    {
        var count = codes.State.Shape.Aggregate(1L, (product, side) => product * side);
        // Ranges of the kernel start at a block; rows need not.
        var first = begin / Nf4Codebook.BlockSize * Nf4Codebook.BlockSize;
        var shift = (int)(begin - first);
        var whole = shift == 0 ? null : new float[shift + values.Length];
        fixed (byte* packed = codes.Packed.Span, absmax = codes.Absmax.Span, nested = codes.NestedAbsmax.Span, map = codes.NestedQuantMap.Span)
        fixed (float* direct = values, shifted = whole)
        {
            var source = codes.State.NestedOffset is { } offset
                ? Nf4Source.Nested(packed, absmax, (float*)nested, (float*)map, offset, count) : Nf4Source.Plain(packed, (float*)absmax, count);
            Nf4Dequantizer.ToFloat(source, whole is null ? direct : shifted, first, begin + values.Length);
        }
        whole?.AsSpan(shift).CopyTo(values);
    }
}
