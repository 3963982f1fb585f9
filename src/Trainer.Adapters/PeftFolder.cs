using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Inspect;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Lora;

namespace Trainer.Adapters;

/// <summary>A PEFT adapter folder: adapter_config.json and adapter_model.safetensors, names, shapes and metadata as PEFT writes them.</summary>
public static partial class PeftFolder
{
    private const string Prefix = "base_model.model.";

    /// <summary>Name of the weights file.</summary>
    public const string WeightsFile = "adapter_model.safetensors";

    /// <summary>Name of the config file.</summary>
    public const string ConfigFile = PeftConfigFile.FileName;

    /// <summary>Reads the adapter's shape from adapter_config.json.</summary>
    /// <param name="folder">The adapter folder.</param>
    /// <returns>The shape, and what the file says the base is (null where it does not).</returns>
    /// <exception cref="AdapterException">Missing, broken, or something that is not implemented, by name.</exception>
    public static (LoraSpec Spec, string? BaseModel) ReadSpec(string folder) => PeftConfigFile.Read(folder);

    /// <summary>Puts the adapter of a folder on a model: every tensor of the file is used and every tensor of the adapter filled, or it is an error.</summary>
    /// <param name="model">A loaded model; what it had before is replaced.</param>
    /// <param name="folder">The adapter folder.</param>
    /// <param name="dropout">Dropout of the run to come; null takes the folder's.</param>
    /// <returns>The adapter's shape.</returns>
    /// <exception cref="AdapterException">Broken folder, or an adapter of another base.</exception>
    public static LoraSpec Load(CausalModel model, string folder, double? dropout = null)
    {
        var (blueprint, spec, baseModel) = Draw(model.Blueprint, model.Folder, folder, dropout);
        using var file = Open(folder);
        var places = Places(blueprint, spec, file, MadeFor(baseModel, model.Folder));
        model.Attach(blueprint);
        model.CopyBase();
        var doubled = spec.IsDoubled ? DoubledAdapter.Fill(model, spec.Init, name => AdapterValues.Read(file, places[name]!)) : null;
        foreach (var entry in model.Parameters.Entries)
            if (doubled?.Contains(entry.Name) != true && places[entry.Name] is { } stored) Fill(model, entry, file, stored);
        var left = file.Tensors.Keys.Except(places.Values.OfType<SafetensorsEntry>().Select(stored => stored.Name), StringComparer.Ordinal)
            .ToHashSet(StringComparer.Ordinal);
        if (spec.EnsureWeightTying && model.Config.TiedEmbeddings && blueprint.Find(model.Blueprint.Head)?.Weight is { } shared)
            EmbeddingCopies.RemoveShared(file, shared, left);
        EmbeddingCopies.Verify(model, file, left);
        model.Carried = Towers(model.Config, file, left);
        if (left.Count > 0)
            throw new AdapterException($"tensor '{left.Order(StringComparer.Ordinal).First()}' of '{file.Path}' belongs to nothing in the model "
                + $"({left.Count} such tensors); the adapter was {MadeFor(baseModel, model.Folder)}");
        return spec;
    }

    /// <summary>What the adapter of a folder trains, from its config and the headers of its tensors; no weight is read.</summary>
    /// <param name="decoder">The base.</param>
    /// <param name="modelFolder">The base's folder, for messages.</param>
    /// <param name="folder">The adapter folder.</param>
    /// <param name="dropout">Dropout of the run to come; null takes the folder's.</param>
    /// <exception cref="AdapterException">Broken folder, or an adapter of another base.</exception>
    public static (AdapterBlueprint Blueprint, LoraSpec Spec, string? BaseModel) Draw(DecoderBlueprint decoder, string modelFolder, string folder,
        double? dropout = null)
    {
        var (spec, baseModel) = ReadSpec(folder);
        if (dropout is { } p) spec = spec with { Dropout = p };
        using var file = Open(folder);
        spec = OverlappingPatterns.Settle(spec, file);
        if (spec.IsDoubled) spec = spec.Doubled();
        // PEFT with transformers 5 never means single experts by names; only a folder that has their tensors does.
        var hasExperts = file.Tensors.Keys.Any(name => SingleExpert().IsMatch(name));
        spec = spec with { ModulesToSave = AdapterBlueprint.SavedNames(decoder, spec), LeavesExpertsAlone = !hasExperts };
        try
        {
            var blueprint = AdapterBlueprint.Of(decoder, spec);
            if (spec.IsDoubled) DoubledAdapter.RequireLinears(blueprint, folder);
            // A low-rank update of the embedding is then one of the head too; here they are two.
            if (spec.EnsureWeightTying && decoder.Config.TiedEmbeddings
                && (blueprint.Find(decoder.Embedding) ?? blueprint.Find(decoder.Head))?.Update is not null)
                throw new AdapterException($"adapter '{folder}' ties an adapted embedding to the head (ensure_weight_tying), which is not implemented; merge "
                    + "it, which keeps them tied");
            _ = Places(blueprint, spec, file, MadeFor(baseModel, modelFolder));
            return (blueprint, spec, baseModel);
        }
        catch (AdapterOptionException fault)
        {
            throw new AdapterException($"adapter '{folder}' does not fit the model '{modelFolder}': {fault.Message}; it was made for "
                + $"'{baseModel ?? "another model"}'", fault);
        }
    }

    /// <summary>Writes adapter_config.json and adapter_model.safetensors into an existing folder; use it inside a folder that is renamed when whole.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="model">The model whose adapter is written.</param>
    /// <param name="spec">The adapter's shape.</param>
    /// <param name="baseModel">base_model_name_or_path: what a reader would load the base as.</param>
    /// <exception cref="CannotWriteException">No space, no right, read-only place.</exception>
    public static void Save(string folder, CausalModel model, LoraSpec spec, string baseModel)
    {
        var parameters = model.Parameters;
        var declarations = parameters.Entries.Select(entry => new TensorDeclaration(NameInFile(entry.Name, model, spec), SafetensorsDtype.F32,
            [.. entry.Shape]))
            .Concat(model.Carried.Select(one => new TensorDeclaration(one.Key, SafetensorsDtype.F32, one.Value.Shape)));
        using (var writer = SafetensorsWriter.Create(Path.Combine(folder, WeightsFile), declarations, SafetensorsWriter.PyTorchMetadata))
        {
            var byName = parameters.Entries.ToDictionary(entry => NameInFile(entry.Name, model, spec), StringComparer.Ordinal);
            foreach (var entry in writer.Entries)
            {
                if (model.Carried.TryGetValue(entry.Name, out var carried)) writer.Write(entry.Name, MemoryMarshal.AsBytes(carried.Values.AsSpan()));
                else parameters.Read(byName[entry.Name], part => writer.Write(entry.Name, MemoryMarshal.AsBytes(part)));
            }
            writer.Complete();
        }
        var paths = model.Linears.Append(model.Head).Where(linear => linear.Adapter is not null).Select(linear => linear.Name)
            .Concat(model.Embedding.Adapter is null ? [] : [model.Embedding.Name]).ToList();
        var written = spec with { RankPattern = OverlappingPatterns.Ordered(spec.RankPattern, paths),
            AlphaPattern = OverlappingPatterns.Ordered(spec.AlphaPattern, paths) };
        File.WriteAllBytes(Path.Combine(folder, ConfigFile), PeftConfigFile.Write(InText(model, written), TargetNames(model, InText(model, spec)), baseModel));
    }

    /// <summary>The first tensor that a saved folder holds differently from the model in memory, or null where all bits are equal.</summary>
    /// <param name="folder">The saved folder.</param>
    /// <param name="model">The model that was saved.</param>
    /// <param name="spec">The adapter's shape, which says for which class names were written; null takes the model's own.</param>
    public static string? FirstDifference(string folder, CausalModel model, LoraSpec? spec = null)
    {
        using var file = Open(folder);
        if (file.Tensors.Count != model.Parameters.Entries.Count + model.Carried.Count)
            return $"{file.Tensors.Count} tensors instead of {model.Parameters.Entries.Count}";
        foreach (var entry in model.Parameters.Entries)
        {
            if (!file.Tensors.TryGetValue(NameInFile(entry.Name, model, spec), out var stored) || stored.Dtype != SafetensorsDtype.F32
                || !stored.Shape.SequenceEqual(entry.Shape)) return entry.Name;
            long at = 0;
            var same = true;
            model.Parameters.Read(entry, part =>
            {
                var bytes = MemoryMarshal.AsBytes(part);
                same &= bytes.SequenceEqual(file.Bytes(stored, at, bytes.Length));
                at += bytes.Length;
            });
            if (!same) return entry.Name;
        }
        return null;
    }

    /// <summary>Opens the weights of an adapter folder.</summary>
    /// <param name="folder">The adapter folder.</param>
    /// <exception cref="AdapterException">They are missing, damaged, a pickle, or of another tool, by name.</exception>
    public static SafetensorsFile Open(string folder)
    {
        var path = Path.Combine(folder, WeightsFile);
        if (!File.Exists(path))
            throw new AdapterException(ForeignAdapters.Of(folder) is { } other
                ? $"no {WeightsFile} in '{folder}': {other}" : $"no {WeightsFile} in '{folder}'; an adapter folder needs it beside {ConfigFile}");
        SafetensorsFile file;
        try
        {
            file = SafetensorsFile.Open(path);
        }
        catch (BadFileException fault)
        {
            throw new AdapterException(fault.Message, fault);
        }
        try
        {
            ForeignAdapters.Refuse(path, file.Tensors.Keys);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static string MadeFor(string? baseModel, string modelFolder) => $"made for '{baseModel ?? "another model"}', the model given is '{modelFolder}'";

    [GeneratedRegex("\\.experts\\.[0-9]+\\.", RegexOptions.CultureInvariant)]
    private static partial Regex SingleExpert();

    // Keys follow the class that a reader wraps; one of another class matches nothing there.
    private static string NameInFile(string tensor, CausalModel model, LoraSpec? spec)
        => spec is { UsesTextClass: true } && model.Config.WrapperType is not null ? Prefix + Plain(tensor) : tensor;

    // In a multimodal model names alone would mean other towers' modules too.
    private static LoraSpec InText(CausalModel model, LoraSpec spec)
    {
        // A pattern was matched against the multimodal class's paths; in the text model's class the modules are named one by one.
        if (spec is { UsesTextClass: true, Targets.Pattern: not null })
            return spec with { Targets = TargetModules.OfNames(
                [.. model.Linears.Append(model.Head).Where(linear => linear.Adapter is not null).Select(linear => TensorNames.OfTextModel(linear.Name))]) };
        if (model.Config.WrapperType is null || spec.UsesTextClass || spec.Targets.Pattern is not null || model.Carried.Count > 0) return spec;
        var names = TargetNames(model, spec).Select(name => Regex.Escape(name));
        var inside = model.Config.TextPath[(model.Config.TextPath.LastIndexOf('.') + 1)..];
        return spec with { Targets = TargetModules.OfPattern($@".*{inside}.*\.({string.Join('|', names)})") };
    }

    // Tensors that adapt vision or audio: kept as they are.
    private static Dictionary<string, (long[] Shape, float[] Values)> Towers(ModelConfig config, SafetensorsFile file, HashSet<string> left)
    {
        var towers = new Dictionary<string, (long[], float[])>(StringComparer.Ordinal);
        foreach (var name in left.ToList())
        {
            if (!name.StartsWith(Prefix, StringComparison.Ordinal) || config.ModuleTensor(name[Prefix.Length..]) is not null) continue;
            var entry = file.Entry(name);
            if (!AdapterValues.TryRead(file, entry, out var values)) continue;
            towers[name] = (entry.Shape, values);
            left.Remove(name);
        }
        return towers;
    }

    // The tensor of the file for each trained tensor, by the latter's name; null where the base's own value is meant.
    private static Dictionary<string, SafetensorsEntry?> Places(AdapterBlueprint blueprint, LoraSpec spec, SafetensorsFile file, string madeFor)
    {
        var places = new Dictionary<string, SafetensorsEntry?>(StringComparer.Ordinal);
        // Keys follow the class that was wrapped: the multimodal one, its former module tree, or the text model alone.
        var plain = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        foreach (var entry in file.Entries) plain.TryAdd(Plain(entry.Name), entry);
        foreach (var (tensor, trained) in blueprint.Tensors)
        {
            var shape = spec.IsDoubled ? StoredHalf(tensor, trained) : trained;
            // Older releases end the names of DoRA's magnitudes with .weight.
            var stored = plain.GetValueOrDefault(Plain(tensor)) ?? plain.GetValueOrDefault(Plain(tensor) + ".weight");
            // PEFT trains biases of adapted layers and does not write them; what it loads back is the base's bias.
            if (stored is null && !(spec.Bias == BiasMode.LoraOnly && tensor.EndsWith(".base_layer.bias", StringComparison.Ordinal)))
                throw new AdapterException($"tensor '{tensor}' is missing from '{file.Path}'; its adapter_config.json and weights do not belong together, or "
                    + $"it was {madeFor}");
            if (stored is not null && !stored.Shape.SequenceEqual(shape))
                throw new AdapterException($"tensor '{stored.Name}' of '{file.Path}' has shape [{string.Join(", ", stored.Shape)}], the model needs "
                    + $"[{string.Join(", ", shape)}]; the adapter was {madeFor}");
            places[tensor] = stored;
        }
        return places;
    }

    private static long[] StoredHalf(string tensor, long[] shape) =>
        tensor.EndsWith(".lora_A.weight", StringComparison.Ordinal)
        ? [shape[0] / 2, shape[1]] : tensor.EndsWith(".lora_B.weight", StringComparison.Ordinal) ? [shape[0], shape[1] / 2] : shape;

    private static string Plain(string name) => name.StartsWith(Prefix, StringComparison.Ordinal) ? TensorNames.OfTextModel(name[Prefix.Length..]) : name;

    private static void Fill(CausalModel model, ParameterEntry entry, SafetensorsFile file, SafetensorsEntry stored)
    {
        AdapterValues.Read(file, stored, (begin, values) => model.Parameters.Write(entry, begin, values));
    }

    // all-linear is written as the names it stands for, as PEFT does; sorted, so that the same adapter gives the same bytes.
    private static IReadOnlyList<string> TargetNames(CausalModel model, LoraSpec spec) => spec.Targets.IsAllLinear
        ? [.. model.Linears.Where(linear => !ReaderRules.PeftRefuses(model.Config.ModelType, linear.Name))
            .Select(linear => linear.Name[(linear.Name.LastIndexOf('.') + 1)..]).Distinct().Order(StringComparer.Ordinal)]
        : [.. spec.Targets.Names.Order(StringComparer.Ordinal)];
}
