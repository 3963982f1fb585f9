using System.Text.RegularExpressions;
using Trainer.Checkpoints;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>What an adapter folder does to each tensor of its base.</summary>
internal sealed class MergeSource : IDisposable
{
    private const string Prefix = "base_model.model.", Embedding = "model.embed_tokens.weight", Head = "lm_head.weight";

    private readonly SafetensorsFile _file;
    private readonly Dictionary<string, string> _whole = new(StringComparer.Ordinal);
    private readonly HashSet<string> _modules = new(StringComparer.Ordinal);

    public MergeSource(string folder)
    {
        (Spec, BaseModel) = PeftFolder.ReadSpec(folder);
        Folder = folder;
        _file = SafetensorsFile.Open(Path.Combine(folder, PeftFolder.WeightsFile));
        try
        {
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

    /// <summary>Whether a tied head must become a tensor of its own.</summary>
    public bool Unties => _whole.ContainsKey(Embedding) || _whole.ContainsKey(Head) || _modules.Contains("lm_head");

    public bool Changes(string tensor) => _whole.ContainsKey(tensor) || (Module(tensor) is { } module && (tensor.EndsWith(".weight", StringComparison.Ordinal) || Spec.LoraBias));

    public string? Module(string tensor)
    {
        var module = tensor[..Math.Max(0, tensor.LastIndexOf('.'))];
        return _modules.Contains(module) ? module : null;
    }

    public SafetensorsEntry? WholeEntry(string tensor) => _whole.TryGetValue(tensor, out var name) ? _file.Entry(name) : null;

    public double Scale(string module, long rank)
    {
        var alpha = Spec.Alpha;
        foreach (var (pattern, value) in Spec.AlphaPattern)
        {
            if (!Regex.IsMatch(module, $"^(?:.*\\.)?(?:{pattern})$", RegexOptions.CultureInvariant)) continue;
            alpha = value;
            break;
        }
        return alpha / (Spec.UseRslora ? Math.Sqrt(rank) : rank);
    }

    /// <summary>A tensor of a module as fp32 with its shape, or null where the module has none.</summary>
    public (float[] Values, long[] Shape)? Part(string module, string suffix)
    {
        if (!_file.Tensors.TryGetValue($"{Prefix}{module}.{suffix}", out var entry)) return null;
        var values = new float[entry.ElementCount];
        StoredValues.Read(_file, entry, 0, values);
        return (values, entry.Shape);
    }

    public float[] ReadWhole(string tensor)
    {
        var entry = _file.Entry(_whole[tensor]);
        var values = new float[entry.ElementCount];
        StoredValues.Read(_file, entry, 0, values);
        return values;
    }

    public string Digest() => FileDigest.Sha256(_file.Path);

    public void Dispose() => _file.Dispose();

    private void Sort(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.Ordinal)) throw Unknown(name);
        var path = name[Prefix.Length..];
        foreach (var suffix in (ReadOnlySpan<string>)[".lora_A.weight", ".lora_B.weight", ".lora_B.bias", ".lora_magnitude_vector", ".lora_magnitude_vector.weight"])
        {
            if (!path.EndsWith(suffix, StringComparison.Ordinal)) continue;
            _modules.Add(path[..^suffix.Length]);
            return;
        }
        if (path.Contains(".lora_", StringComparison.Ordinal)) throw Unknown(name);
        _whole[path.Replace(".base_layer.", ".", StringComparison.Ordinal).Replace(".modules_to_save.", ".", StringComparison.Ordinal)] = name;
    }

    private AdapterException Unknown(string name) => new($"tensor '{name}' of adapter '{Folder}' is of a kind that cannot be merged; only LoRA, DoRA, biases and whole modules can");
}
