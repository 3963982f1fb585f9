using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Reference;
using Trainer.Models;
using Trainer.Models.Config;
using static TorchSharp.torch;

namespace Trainer.Engine.Weights;

/// <summary>The tensors of a model folder, each taken once by name; what is left over at the end is an error.</summary>
internal sealed unsafe class WeightFiles : IDisposable
{
    private readonly ShardedModel _files;
    private readonly Dictionary<string, string> _stored = new(StringComparer.Ordinal);
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly Action<long, long>? _progress;
    private readonly long _total;
    private long _done;

    public WeightFiles(string folder, ModelConfig config, Action<long, long>? progress)
        : this(folder, config.TiedEmbeddings, config.ModuleTensor, progress)
    {
    }

    private WeightFiles(string folder, bool isTied, Func<string, string?> nameOf, Action<long, long>? progress)
    {
        _files = OpenFiles(folder, isTied);
        var ignored = new List<string>();
        try
        {
            foreach (var stored in _files.Tensors.Keys) Place(stored, nameOf(stored), ignored);
        }
        catch
        {
            _files.Dispose();
            throw;
        }
        Ignored = ignored;
        _progress = progress;
        _total = _files.TotalBytes;
    }

    /// <summary>The tensors by the names that they have in the folder.</summary>
    public static WeightFiles AsStored(string folder) => new(folder, isTied: false, static name => name, null);

    /// <summary>The model folder.</summary>
    public string Folder => _files.Folder;

    /// <summary>Names of the text model's tensors, as its module tree has them.</summary>
    public IEnumerable<string> Names => _stored.Keys;

    /// <summary>Names in the files of tensors that belong to other towers.</summary>
    public IReadOnlyList<string> Ignored { get; }

    /// <summary>The mapped files.</summary>
    public IEnumerable<string> Paths => _files.Files.Select(file => file.Path);

    /// <summary>The file of an address in the mapping, and the offset in it.</summary>
    public (string Path, long Offset) Locate(IntPtr address)
    {
        foreach (var file in _files.Files)
            if (file.OffsetOf((byte*)address) is { } offset) return (file.Path, offset);
        throw new ArgumentException("the address is in no mapped file of the model", nameof(address));
    }

    public bool Has(string name) => _stored.ContainsKey(name);

    /// <summary>Type and shape of a tensor that is there.</summary>
    public SafetensorsEntry Entry(string name) => _files.Entry(_stored[name]);

    /// <summary>A tensor of any float type over the mapped file, its shape and values checked.</summary>
    public Tensor Take(string name, params ReadOnlySpan<long> shape)
    {
        if (!Has(name)) throw Missing(name, _files.Folder);
        var entry = Entry(name);
        var type = entry.Dtype switch
        {
            SafetensorsDtype.F32 => ScalarType.Float32,
            SafetensorsDtype.BF16 => ScalarType.BFloat16,
            SafetensorsDtype.F16 => ScalarType.Float16,
            var other => throw new ModelException($"tensor '{name}' of '{_files.Folder}' is of type {other}, which is not implemented; take a float32, "
                + "float16 or bfloat16 model"),
        };
        if (!shape.SequenceEqual(entry.Shape))
            throw OtherShape(name, entry, shape.ToArray(), _files.Folder);
        var pointer = Pointer(name);
        if (!FiniteCheck.IsFinite(pointer, entry.ElementCount, entry.Dtype))
            throw new ModelException($"tensor '{name}' of '{_files.Folder}' holds NaN or infinity; the model is damaged: download it again");
        Taken(entry);
        return TorchNative.FromBlob(pointer, type, shape);
    }

    internal static ModelException Missing(string name, string folder) =>
        new($"tensor '{name}' is missing from '{folder}'; config.json needs it: the folder is incomplete or of another model");

    internal static ModelException OtherShape(string name, SafetensorsEntry entry, long[] shape, string folder) =>
        new($"tensor '{name}' of '{folder}' has shape [{string.Join(", ", entry.Shape)}], config.json needs [{string.Join(", ", shape)}]; config and weights "
        + "are of different models");

    /// <summary>Raw bytes of a tensor of the given type; null shape takes any.</summary>
    public ReadOnlySpan<byte> TakeBytes(string name, SafetensorsDtype type, long elements)
    {
        if (!Has(name)) throw new ModelException($"tensor '{name}' is missing from '{_files.Folder}'; the quantized folder is incomplete");
        var entry = Entry(name);
        if (entry.Dtype != type || (elements >= 0 && entry.ElementCount != elements))
            throw new ModelException($"tensor '{name}' of '{_files.Folder}' is {entry.Dtype} with {entry.ElementCount} elements, "
                + $"expected {type} with {elements}; the quantized folder is damaged");
        if (!FiniteCheck.IsFinite(Pointer(name), entry.ElementCount, entry.Dtype))
            throw new ModelException($"tensor '{name}' of '{_files.Folder}' holds NaN or infinity; the model is damaged: download it again");
        Taken(entry);
        return _files.Bytes(_stored[name]);
    }

    /// <summary>Address of a tensor of the given type.</summary>
    public byte* TakePointer(string name, SafetensorsDtype type, long elements)
    {
        _ = TakeBytes(name, type, elements);
        return Pointer(name);
    }

    /// <summary>Address of packed bytes, whatever type they are declared as (bitsandbytes may store them as bfloat16).</summary>
    public byte* TakeRaw(string name, long byteCount)
    {
        if (!Has(name)) throw new ModelException($"tensor '{name}' is missing from '{_files.Folder}'; the quantized folder is incomplete");
        var entry = Entry(name);
        if (entry.ByteCount != byteCount)
            throw new ModelException($"tensor '{name}' of '{_files.Folder}' has {entry.ByteCount} bytes, its shape needs {byteCount}; the quantized folder is "
                + "damaged");
        Taken(entry);
        return Pointer(name);
    }

    /// <summary>Gives the mapped pages of a tensor back that was copied.</summary>
    public void DropPages(string name) => MappedPages.Drop(Pointer(name), Entry(name).ByteCount);

    /// <summary>Gives all mapped pages back; what is touched again comes from the files.</summary>
    public void DropPages()
    {
        foreach (var file in _files.Files)
            if (file.Entries.Count > 0) MappedPages.Drop(file.Pointer(file.Entries[0]), file.Entries[^1].End - file.Entries[0].Begin);
    }

    /// <summary>A tensor that the model does not need; it must equal one that it has, byte for byte, else the folder contradicts itself.</summary>
    public void TakeCopy(string name, string original)
    {
        if (!AreSame(name, original))
            throw new ModelException($"tensor '{name}' of '{_files.Folder}' differs from '{original}' although config.json ties them; set tie_word_embeddings "
                + "to false or take the original model");
        Taken(Entry(name));
    }

    /// <summary>Whether two tensors hold the same bytes.</summary>
    public bool AreSame(string name, string original)
    {
        var (copy, of) = (Entry(name), Entry(original));
        var same = copy.Dtype == of.Dtype && copy.ByteCount == of.ByteCount;
        const int Part = 1 << 24;
        for (long at = 0; same && at < copy.ByteCount; at += Part)
        {
            var length = (int)Math.Min(Part, copy.ByteCount - at);
            byte* one = Pointer(name) + at, other = Pointer(original) + at;
            same = new ReadOnlySpan<byte>(one, length).SequenceEqual(new ReadOnlySpan<byte>(other, length));
            MappedPages.Drop(one, length);
            MappedPages.Drop(other, length);
        }
        return same;
    }

    /// <summary>Refuses tensors that nothing took.</summary>
    public void RefuseLeftOver()
    {
        // Old checkpoints carry the rotary frequencies, which are computed from config.json.
        var left = _stored.Values.Where(name => !_taken.Contains(name) && !name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).ToList();
        if (left.Count == 0) return;
        throw new ModelException($"tensor '{left[0]}' of '{_files.Folder}' belongs to nothing in the model that config.json describes "
            + $"({left.Count} such tensors); config and weights are of different models");
    }

    public void Dispose() => _files.Dispose();

    private byte* Pointer(string name) => _files.Pointer(_stored[name]);

    private void Place(string stored, string? name, List<string> ignored)
    {
        if (name is null) ignored.Add(stored);
        else if (!_stored.TryAdd(name, stored))
            throw new ModelException($"tensors '{_stored[name]}' and '{stored}' of '{_files.Folder}' are the same module's; the folder holds a model twice: "
                + "take the original one");
    }

    private void Taken(SafetensorsEntry entry)
    {
        _taken.Add(entry.Name);
        _done += entry.ByteCount;
        _progress?.Invoke(_done, _total);
    }

    private static ShardedModel OpenFiles(string folder, bool isTied)
    {
        try
        {
            return ShardedModel.Open(folder, isTied);
        }
        catch (BadFileException fault)
        {
            throw new ModelException(fault.Message, fault);
        }
    }
}
