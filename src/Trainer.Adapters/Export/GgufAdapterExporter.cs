using System.Globalization;
using System.Text.RegularExpressions;
using Trainer.Checkpoints;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>
/// Writes a PEFT adapter as llama.cpp loads it: blk.N.PART.weight.lora_a [in, r] and .lora_b [r, out] in F32, one alpha for the whole file, and for
/// the llama architecture the rows of q and k in its interleaved rotary order, as the rows of the base are.
/// </summary>
public static partial class GgufAdapterExporter
{
    private const string Prefix = "base_model.model.";

    // In the order in which llama.cpp names the parts of a layer; fused projections are those of phi3, whose ffn_up holds gate and up.
    private static readonly (string Module, string Part)[] Parts =
    [
        ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.qkv_proj", "attn_qkv"), ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.gate_up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
    ];

    /// <summary>The architecture's name in llama.cpp and whether its q and k rows are permuted; null for a family that is not mapped.</summary>
    public static (string Name, bool IsPermuted)? Architecture(string modelType) => modelType switch
    {
        "llama" or "mistral" => ("llama", true),
        "qwen2" or "qwen3" or "phi3" or "gemma" or "gemma2" => (modelType, false),
        "gemma3" or "gemma3_text" => ("gemma3", false),
        _ => null,
    };

    /// <summary>Writes the file; returns the number of tensors.</summary>
    /// <param name="baseFolder">The base's folder; its config.json alone is read.</param>
    /// <param name="adapterFolder">A PEFT adapter folder.</param>
    /// <param name="target">The .gguf file to make; an existing one is replaced when the new one is whole.</param>
    /// <exception cref="AdapterException">llama.cpp would not load it or compute something else; the reason is named.</exception>
    /// <exception cref="CannotWriteException">The file cannot be written.</exception>
    public static int Export(string baseFolder, string adapterFolder, string target)
    {
        var model = ModelConfig.Load(baseFolder);
        var config = AdapterConfig.Read(adapterFolder);
        using var file = SafetensorsFile.Open(Path.Combine(adapterFolder, PeftFolder.WeightsFile));
        TensorDeclaration[] tensors = [.. file.Entries.Select(entry => new TensorDeclaration(entry.Name, entry.Dtype, entry.Shape))];
        var verdict = ReaderRules.Judge(config, tensors, model.ModelType, model.TiedEmbeddings).Single(one => one.Reader == "llama.cpp");
        if (!verdict.Loads || Architecture(model.ModelType) is not { } architecture)
            throw new AdapterException($"adapter '{adapterFolder}' cannot be exported for llama.cpp: {string.Join("; ", verdict.Reasons)}");
        var alpha = ReaderRules.CommonAlpha(config, tensors)!.Value;
        var pairs = tensors.Select(tensor => Place(tensor, model, adapterFolder)).OrderBy(one => one.Order).ToList();
        foreach (var pair in pairs.GroupBy(one => one.Name[..^1]))
        {
            if (pair.Count() != 2) throw new AdapterException($"adapter '{adapterFolder}' has A or B alone for '{pair.First().Tensor.Name}'; its weights file is incomplete, write or copy it again");
        }
        // The keys that llama.cpp's loader asks for, in its converter's order.
        KeyValuePair<string, GgufValue>[] metadata =
        [
            new("general.architecture", GgufValue.Of(architecture.Name)), new("general.type", GgufValue.Of("adapter")), new("adapter.type", GgufValue.Of("lora")),
            new("adapter.lora.alpha", GgufValue.Of((float)alpha)), new("general.file_type", GgufValue.Of(0u)),
        ];
        GgufDeclaration[] declarations = [.. pairs.Select(one => new GgufDeclaration(one.Name, GgufTensorType.F32, [one.Tensor.Shape[1], one.Tensor.Shape[0]]))];
        AtomicFile.Write(target, temporary =>
        {
            using var writer = GgufWriter.Create(temporary, metadata, declarations);
            foreach (var (tensor, name, _) in pairs) writer.Write(name, Values(file, tensor, name, architecture.IsPermuted, model));
            writer.Complete();
        }, temporary => GgufFile.Open(temporary).Dispose());
        return pairs.Count;
    }

    private static (TensorDeclaration Tensor, string Name, long Order) Place(TensorDeclaration tensor, ModelConfig model, string folder)
    {
        var isA = tensor.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal);
        var path = tensor.Name[Prefix.Length..^".lora_A.weight".Length];
        if (path == "lm_head") return (tensor, $"output.weight.lora_{(isA ? 'a' : 'b')}", long.MaxValue - (isA ? 1 : 0));
        var match = LayerPath().Match(path);
        var part = Array.FindIndex(Parts, one => match.Success && one.Module == match.Groups[2].Value);
        if (part < 0 || tensor.Shape.Length != 2)
            throw new AdapterException($"adapter '{folder}' cannot be exported for llama.cpp: it has no place for '{path}'");
        var layer = int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        if (layer >= model.LayerCount) throw new AdapterException($"adapter '{folder}' adapts layer {layer}, the base has {model.LayerCount}; it was made for another model");
        return (tensor, $"blk.{layer}.{Parts[part].Part}.weight.lora_{(isA ? 'a' : 'b')}", (layer * 100L + part) * 2 + (isA ? 0 : 1));
    }

    private static ReadOnlySpan<byte> Values(SafetensorsFile file, TensorDeclaration tensor, string name, bool isPermuted, ModelConfig model)
    {
        var entry = file.Entry(tensor.Name);
        var values = new float[entry.ElementCount];
        StoredValues.Read(file, entry, 0, values);
        var heads = !isPermuted ? 0 : name.EndsWith(".attn_q.weight.lora_b", StringComparison.Ordinal) ? model.Heads : name.EndsWith(".attn_k.weight.lora_b", StringComparison.Ordinal) ? model.KvHeads : 0;
        if (heads > 0)
        {
            if (tensor.Shape[0] != (long)heads * model.HeadSize) throw new AdapterException($"tensor '{tensor.Name}' has {tensor.Shape[0]} rows, {heads} heads of {model.HeadSize} need {heads * model.HeadSize}; the adapter was made for another model");
            values = RotaryOrder.Interleave(values, model.HeadSize, (int)tensor.Shape[1]);
        }
        return System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values);
    }

    [GeneratedRegex("^(?:.*\\.)?layers\\.([0-9]{1,6})\\.(.+)$", RegexOptions.CultureInvariant)]
    private static partial Regex LayerPath();
}
