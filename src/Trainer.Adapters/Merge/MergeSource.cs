using Trainer.Checkpoints.Runs;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Quantize;
using Trainer.Engine.Weights;
using Trainer.Models.Config;
using Trainer.Models.Lora;

namespace Trainer.Adapters.Merge;

/// <summary>What an adapter folder does to each tensor of its base.</summary>
internal sealed class MergeSource : IDisposable
{
    private const string Embedding = EmbeddingCopies.Embedding, Head = EmbeddingCopies.Head;

    private const string Prefix = "base_model.model.", RowsSuffix = ".token_adapter.trainable_tokens_delta";

    private readonly SafetensorsFile _file;
    private readonly Dictionary<string, string> _whole = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _copies = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _paths = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _rows = new(StringComparer.Ordinal);
    private readonly HashSet<string> _modules = new(StringComparer.Ordinal);

    public MergeSource(string folder)
    {
        (Spec, BaseModel) = PeftFolder.ReadSpec(folder);
        Folder = folder;
        _file = PeftFolder.Open(folder);
        try
        {
            Spec = OverlappingPatterns.Settle(Spec, _file);
            foreach (var name in _file.Tensors.Keys) Sort(name);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    public LoraSpec Spec { get; }

    public string? BaseModel { get; }

    public string Folder { get; }

    /// <summary>Modules with A and B.</summary>
    public IReadOnlyCollection<string> Modules => _modules;

    /// <summary>Base tensors that the adapter folder holds whole.</summary>
    public IReadOnlyCollection<string> Whole => _whole.Keys;

    /// <summary>Embedding or head that the folder holds as the base has it; see <see cref="EmbeddingCopies"/>.</summary>
    public IReadOnlyCollection<string> Copies => _copies.Keys;

    /// <summary>Whether a tied head must become a tensor of its own.</summary>
    public bool Unties => _whole.ContainsKey($"{Embedding}.weight") || _whole.ContainsKey($"{Head}.weight") || _modules.Contains(Head)
        || _modules.Contains(Embedding);

    /// <summary>Tables some of whose rows the folder holds, with the tokens of those rows.</summary>
    public IEnumerable<(string Tensor, IReadOnlyList<int> Ids, long[] Shape)> Rows =>
        _rows.Select(pair => (pair.Key, Ids(pair.Key), _file.Entry(pair.Value).Shape));

    /// <summary>Whether the folder holds rows of a table.</summary>
    public bool HasRows(string tensor) => _rows.ContainsKey(tensor);

    /// <summary>Puts the rows that the folder holds into a range of their table.</summary>
    public void PutRows(string tensor, long begin, Span<float> values, long columns)
    {
        var (ids, entry) = (Ids(tensor), _file.Entry(_rows[tensor]));
        for (var i = 0; i < ids.Count; i++)
        {
            var at = ids[i] * columns - begin;
            if (at >= 0 && at < values.Length) StoredValues.Read(_file, entry, i * columns, values.Slice((int)at, (int)columns));
        }
    }

    private IReadOnlyList<int> Ids(string tensor)
        => Spec.TokenRows.Where(pair => TargetModules.EndsWith(tensor[..^".weight".Length], pair.Key)).Select(pair => pair.Value).FirstOrDefault() ?? [];

    public bool Changes(string tensor) => _rows.ContainsKey(tensor) || _whole.ContainsKey(tensor)
        || (Module(tensor) is { } module && (tensor.EndsWith(".weight", StringComparison.Ordinal) || Spec.LoraBias));

    public string? Module(string tensor)
    {
        var module = tensor[..Math.Max(0, tensor.LastIndexOf('.'))];
        return _modules.Contains(module) ? module : null;
    }

    public SafetensorsEntry? WholeEntry(string tensor) => _whole.TryGetValue(tensor, out var name) ? _file.Entry(name) : null;

    public double Scale(string module, long rank)
    {
        var alpha = PathPattern.ValueAt(Spec.AlphaPattern, module, Spec.Alpha);
        return alpha / (Spec.UseRslora ? Math.Sqrt(rank) : rank);
    }

    /// <summary>B [rows, rank] and A [rank, columns] of a module whose weight is [rows, columns]; an embedding holds both the other way round.</summary>
    /// <exception cref="AdapterException">One of them is missing.</exception>
    public ((float[] Values, long[] Shape) B, (float[] Values, long[] Shape) A) Pair(string module)
    {
        if (module != Embedding) return (Needed(module, "lora_B.weight"), Needed(module, "lora_A.weight"));
        return (Transposed(Needed(module, "lora_embedding_A")), Transposed(Needed(module, "lora_embedding_B")));
    }

    /// <summary>The DoRA magnitude of a module.</summary>
    /// <exception cref="AdapterException">There is none.</exception>
    public float[] Magnitude(string module) => (Part(module, "lora_magnitude_vector.weight") ?? Needed(module, "lora_magnitude_vector")).Values;

    /// <summary>A tensor that a module must have.</summary>
    /// <exception cref="AdapterException">There is none.</exception>
    public (float[] Values, long[] Shape) Needed(string module, string suffix) => Part(module, suffix)
        ?? throw new AdapterException($"adapter '{Folder}' has no {suffix} for '{module}'; its weights file is incomplete, write or copy it again");

    /// <summary>A tensor of a module as fp32 with its shape, or null where the module has none.</summary>
    public (float[] Values, long[] Shape)? Part(string module, string suffix)
    {
        if (!_paths.TryGetValue($"{module}.{suffix}", out var name) || !_file.Tensors.TryGetValue(name, out var entry)) return null;
        var values = new float[entry.ElementCount];
        StoredValues.Read(_file, entry, 0, values);
        return (values, entry.Shape);
    }

    /// <summary>Elements from <paramref name="begin"/> on of a tensor that the folder holds whole.</summary>
    public void ReadWhole(string tensor, long begin, Span<float> values) => StoredValues.Read(_file, _file.Entry(_whole[tensor]), begin, values);

    /// <summary>Whether the copy of a base tensor holds its values.</summary>
    public bool IsCopyOf(string tensor, long[] shape, WeightReader read)
    {
        var entry = _file.Entry(_copies[tensor]);
        return entry.Shape.SequenceEqual(shape) && WeightCopies.AreEqual(shape, read, _file, entry);
    }

    /// <summary>Of weights and configuration: alpha and patterns decide about the merged values as the tensors do.</summary>
    public string Digest() => $"{FileDigest.Sha256(_file.Path)} {FileDigest.Sha256(Path.Combine(Folder, PeftFolder.ConfigFile))}";

    public void Dispose() => _file.Dispose();

    private void Sort(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.Ordinal)) throw Unknown(name);
        var path = TensorNames.OfTextModel(name[Prefix.Length..]);
        _paths[path] = name;
        foreach (var suffix in (ReadOnlySpan<string>)[".lora_A.weight", ".lora_B.weight", ".lora_B.bias", ".lora_embedding_A", ".lora_embedding_B",
            ".lora_magnitude_vector", ".lora_magnitude_vector.weight"])
        {
            if (!path.EndsWith(suffix, StringComparison.Ordinal)) continue;
            _modules.Add(path[..^suffix.Length]);
            return;
        }
        if (path.EndsWith(RowsSuffix, StringComparison.Ordinal))
        {
            _rows[path[..^RowsSuffix.Length] + ".weight"] = name;
            return;
        }
        if (path.Contains(".lora_", StringComparison.Ordinal)) throw Unknown(name);
        if (!Spec.EnsureWeightTying && EmbeddingCopies.ModuleOf(name) is { } module
            && !Spec.ModulesToSave.Any(saved => module.EndsWith(saved, StringComparison.Ordinal)))
        {
            _copies[module + ".weight"] = name;
            return;
        }
        _whole[path.Replace(".base_layer.", ".", StringComparison.Ordinal).Replace(".modules_to_save.", ".", StringComparison.Ordinal)] = name;
    }

    private static (float[] Values, long[] Shape) Transposed((float[] Values, long[] Shape) part) =>
        part.Shape is [var rows, var columns] ? (MatrixTurn.Of(part.Values, rows, columns), [columns, rows]) : part;

    private AdapterException Unknown(string name)
        => new($"tensor '{name}' of adapter '{Folder}' is of a kind that cannot be merged; only LoRA, DoRA, biases and whole modules can");
}
