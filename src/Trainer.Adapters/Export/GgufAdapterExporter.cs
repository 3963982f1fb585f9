using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine.Gguf;
using Trainer.Engine.Quantize;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Adapters.Export;

/// <summary>
/// Writes a PEFT adapter as llama.cpp loads it: blk.N.PART.weight.lora_a [in, r] and .lora_b [r, out] in F32, one alpha for the whole file, and for
/// the architectures that rotate in pairs the rows of q and k in that order, as the rows of the base are.
/// </summary>
public static partial class GgufAdapterExporter
{
    private const string Prefix = "base_model.model.", EmbeddingA = "token_embd.weight.lora_a", EmbeddingB = "token_embd.weight.lora_b";

    /// <summary>Writes the file; returns the number of tensors.</summary>
    /// <param name="baseFolder">The base's folder; its config.json, and its weights where a raw PiSSA or OLoRA adapter is converted.</param>
    /// <param name="adapterFolder">A PEFT adapter folder.</param>
    /// <param name="target">The .gguf file to make; an existing one is replaced when the new one is whole.</param>
    /// <exception cref="AdapterException">llama.cpp would not load it or compute something else; the reason is named.</exception>
    /// <exception cref="CannotWriteException">The file cannot be written.</exception>
    public static int Export(string baseFolder, string adapterFolder, string target)
    {
        var model = ConfigLoader.Load(baseFolder);
        using var plain = PlainAdapterFolder.Of(baseFolder, adapterFolder);
        adapterFolder = plain.Folder;
        var (spec, _) = PeftFolder.ReadSpec(adapterFolder);
        var config = AdapterConfig.Read(adapterFolder);
        using var file = PeftFolder.Open(adapterFolder);
        OverlappingPatterns.Settle(spec, file);
        TensorDeclaration[] tensors = [.. file.Entries.Where(entry => !ReaderRules.IsFrozenCopy(entry.Name))
            .Select(entry => new TensorDeclaration(entry.Name, entry.Dtype, entry.Shape))];
        var verdict = ReaderRules.Judge(config, tensors, model.ModelType, model.TiedEmbeddings).Single(one => one.Reader == "llama.cpp");
        if (!verdict.Loads || GgufArchitecture.Of(model) is not { } architecture)
            throw new AdapterException($"adapter '{adapterFolder}' cannot be exported for llama.cpp: {string.Join("; ", verdict.Reasons)}");
        var another = $"the adapter was made for '{config.BaseModel ?? "another model"}', the model given is '{baseFolder}'";
        var alpha = ReaderRules.CommonAlpha(config, tensors)!.Value;
        var blueprint = DecoderBlueprint.Of(model);
        var experts = Experts(model, blueprint, baseFolder, adapterFolder, file);
        if (experts?.Refusal(config.UseRslora) is { } refusal)
            throw new AdapterException($"adapter '{adapterFolder}' cannot be exported for llama.cpp: {refusal}; merge instead");
        var pairs = tensors.Where(tensor => experts?.Owns(tensor.Name) != true)
            .SelectMany(tensor => Place(tensor, blueprint, architecture, adapterFolder, another)).OrderBy(one => one.Order).ToList();
        foreach (var pair in pairs.GroupBy(one => one.Name[..^1]))
        {
            if (pair.Count() != 2)
                throw new AdapterException($"adapter '{adapterFolder}' has A or B alone for '{pair.First().Tensor.Name}'; its weights file is incomplete, "
                    + "write or copy it again");
        }
        // The keys that llama.cpp's loader asks for, in its converter's order.
        KeyValuePair<string, GgufValue>[] metadata =
        [
            new("general.architecture", GgufValue.Of(architecture.Name)), new("general.type", GgufValue.Of("adapter")),
            new("adapter.type", GgufValue.Of("lora")),
            new("adapter.lora.alpha", GgufValue.Of((float)alpha)), new("general.file_type", GgufValue.Of(0u)),
        ];
        GgufDeclaration[] declarations = [.. pairs.Select(one => new GgufDeclaration(one.Name, GgufTensorType.F32,
            IsTurned(one.Name) ? one.Tensor.Shape : [one.Tensor.Shape[1], one.Rows?.Length ?? one.Tensor.Shape[0]])), .. experts?.Declarations ?? []];
        AtomicFile.Write(target, temporary =>
        {
            using var writer = GgufWriter.Create(temporary, metadata, declarations);
            foreach (var place in pairs) writer.Write(place.Name, Values(file, place, model));
            experts?.Write(writer);
            writer.Complete();
        }, temporary => GgufFile.Open(temporary).Dispose());
        return declarations.Length;
    }

    // Updates of experts, by the names that the file has them under.
    private static GgufExpertAdapters? Experts(ModelConfig model, DecoderBlueprint blueprint, string baseFolder, string adapterFolder, SafetensorsFile file)
    {
        if (!blueprint.Modules.Any(module => module.Kind == ModuleKind.Experts)) return null;
        static string Plain(string name) => TensorNames.OfTextModel(name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name);
        var names = file.Tensors.Keys.ToLookup(Plain, StringComparer.Ordinal);
        return new GgufExpertAdapters(model, PeftFolder.Draw(blueprint, baseFolder, adapterFolder).Blueprint, file,
            name => names[Plain(name)].FirstOrDefault() ?? name);
    }

    // Rows are those of B where they lie otherwise than in the folder, or are a part of them.
    private sealed record Pair(TensorDeclaration Tensor, string Name, long Order, ModuleBlueprint? Module = null, int[]? Rows = null);

    private static IEnumerable<Pair> Place(TensorDeclaration tensor, DecoderBlueprint blueprint, GgufArchitecture architecture, string folder, string another)
    {
        if (!tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) || tensor.Shape.Length != 2)
            throw new AdapterException($"tensor '{tensor.Name}' [{string.Join(", ", tensor.Shape)}] of adapter '{folder}' is not one that PEFT writes");
        if (tensor.Name.EndsWith("model.embed_tokens.lora_embedding_A", StringComparison.Ordinal)) return [new(tensor, EmbeddingA, -2)];
        if (tensor.Name.EndsWith("model.embed_tokens.lora_embedding_B", StringComparison.Ordinal))
            return [new(tensor, EmbeddingB, -1, blueprint.Modules.FirstOrDefault(module => module.Role == ModuleRole.Embedding))];
        var isA = tensor.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal);
        var path = tensor.Name[Prefix.Length..^".lora_A.weight".Length];
        if (path == "lm_head")
        {
            var head = blueprint.Modules.FirstOrDefault(module => module.Role == ModuleRole.Head);
            return [new(tensor, $"output.weight.lora_{(isA ? 'a' : 'b')}", long.MaxValue - (isA ? 1 : 0), head)];
        }
        var match = LayerPath().Match(path);
        var (layer, layers) = (match.Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0, blueprint.Config.LayerCount);
        if (layer >= layers) throw new AdapterException($"adapter '{folder}' adapts layer {layer}, the base has {layers}; {another}");
        var modules = blueprint.Layer(layer);
        var place = match.Success ? modules.TakeWhile(one => !one.Path.EndsWith($".{layer}.{match.Groups[2].Value}", StringComparison.Ordinal)).Count()
            : modules.Count;
        // A gate with one output is a vector there.
        if (place == modules.Count || modules[place].Kind != ModuleKind.Linear || modules[place].Rows == 1 || !architecture.TakesAdapter(modules[place]))
            throw NoPlace();
        var module = modules[place];
        if (isA ? tensor.Shape[1] != module.Columns : tensor.Shape[0] != module.Rows)
            throw new AdapterException($"tensor '{tensor.Name}' of adapter '{folder}' has shape [{string.Join(", ", tensor.Shape)}], the weight it adapts is "
                + $"[{module.Rows}, {module.Columns}]; {another}");
        var (order, splits) = ((layer * 100L + place) * 4, GgufSplit.Of(blueprint.Config, module));
        if (splits.Count == 0)
        {
            var weight = architecture.TensorOf(module) ?? throw NoPlace();
            return [new(tensor, $"{weight}.lora_{(isA ? 'a' : 'b')}", order + (isA ? 0 : 1), module, isA ? null : GgufOrder.OfRows(blueprint.Config, module))];
        }
        return splits.Select((split, i) => new Pair(tensor, $"{split.Name}.lora_{(isA ? 'a' : 'b')}", order + 2 * i + (isA ? 0 : 1), module,
            isA ? null : split.Rows));

        AdapterException NoPlace() => new($"adapter '{folder}' cannot be exported for llama.cpp: it has no place for '{path}'; merge instead");
    }

    // llama.cpp looks A up by token, so it lies with a row for each.
    private static bool IsTurned(string name) => name == EmbeddingA;

    // Rows of B and columns of A lie as those of the weight do, and are multiplied as they are.
    private static ReadOnlySpan<byte> Values(SafetensorsFile file, Pair pair, ModelConfig model)
    {
        var (tensor, module) = (pair.Tensor, pair.Module);
        var entry = file.Entry(tensor.Name);
        var values = new float[entry.ElementCount];
        StoredValues.Read(file, entry, 0, values);
        if (IsTurned(pair.Name)) return MemoryMarshal.AsBytes<float>(MatrixTurn.Of(values, tensor.Shape[0], tensor.Shape[1]));
        if (module is null) return MemoryMarshal.AsBytes<float>(values);
        var (rows, columns) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
        if (!pair.Name.EndsWith(".lora_b", StringComparison.Ordinal))
        {
            if (GgufOrder.OfColumns(model, module) is not { } order) return MemoryMarshal.AsBytes<float>(values);
            var turned = new float[values.Length];
            for (var row = 0; row < rows; row++)
                for (var column = 0; column < columns; column++) turned[row * columns + column] = values[row * columns + order[column]];
            return MemoryMarshal.AsBytes<float>(turned);
        }
        var multipliers = GgufMultipliers.OfRows(model, module);
        var moved = new float[(pair.Rows?.Length ?? rows) * columns];
        for (var row = 0; row < moved.Length / columns; row++)
        {
            // A table's multiplier is one for all of its rows, which are not those of B.
            var multiplier = multipliers?[module.Role == ModuleRole.Embedding ? 0 : row] ?? 1;
            for (var column = 0; column < columns; column++)
                moved[row * columns + column] = values[(pair.Rows?[row] ?? row) * columns + column] * multiplier;
        }
        return MemoryMarshal.AsBytes<float>(moved);
    }

    [GeneratedRegex("^(?:.*\\.)?layers\\.([0-9]{1,6})\\.(.+)$", RegexOptions.CultureInvariant)]
    private static partial Regex LayerPath();
}
