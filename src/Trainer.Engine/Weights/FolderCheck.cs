using Trainer.Engine.Quantize;
using Trainer.Models;
using Trainer.Models.Drawing;
using Trainer.Models.Families;
using Trainer.Models.Parts;

namespace Trainer.Engine.Weights;

/// <summary>Compares a model folder's tensors with what its config.json needs, by the headers alone: what loading would refuse, a plan
/// refuses too, and so does whoever writes another folder or file of it.</summary>
public static class FolderCheck
{
    /// <summary>Checks a folder; one without weights is left to the plan, which needs none.</summary>
    /// <param name="folder">A model folder.</param>
    /// <exception cref="ModelException">A tensor is missing or of another shape; it is named.</exception>
    public static void Require(string folder)
    {
        var config = ConfigLoader.Load(folder);
        if (!Directory.EnumerateFiles(folder, "*.safetensors").Any()) return;
        using var files = new WeightFiles(folder, config, null);
        // Experts lie in files in several layouts, which their loader tells apart.
        foreach (var module in DecoderBlueprint.Of(config).Stored.Where(module => module.Experts is null))
            foreach (var (name, shape) in module.Tensors) Require(files, module, name, shape);
    }

    private static void Require(WeightFiles files, ModuleBlueprint module, string name, long[] shape)
    {
        if (!files.Has(name))
        {
            // A quantized weight goes by other names beside its own.
            var path = name[..(name.LastIndexOf('.') + 1)];
            if (module.Kind == ModuleKind.Linear && name == module.WeightName
                && files.Names.Any(other => other.StartsWith(path, StringComparison.Ordinal) && other != module.BiasName)) return;
            throw WeightFiles.Missing(name, files.Folder);
        }
        // Packed codes have a shape of their own, which their reader checks.
        var entry = files.Entry(name);
        if (StoredValues.CanRead(entry.Dtype) && !StoredNf4.Has(files, name) && !shape.SequenceEqual(entry.Shape))
            throw WeightFiles.OtherShape(name, entry, shape, files.Folder);
    }
}
