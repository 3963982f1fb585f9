using Trainer.Checkpoints;
using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>
/// PEFT writes the frozen embedding and head beside an adapter that targets one of them or that was trained after the vocabulary grew.
/// They say nothing new where they are the base's; where they differ, the adapter was trained on another base.
/// </summary>
internal static class EmbeddingCopies
{
    private const string Prefix = "base_model.model.";

    /// <summary>Checks the copies and takes them off the list.</summary>
    /// <param name="model">The model with its adapter attached.</param>
    /// <param name="file">The adapter's weights.</param>
    /// <param name="left">Names that no trained tensor has claimed.</param>
    /// <exception cref="AdapterException">A copy is not the base's.</exception>
    public static void Verify(CausalModel model, SafetensorsFile file, HashSet<string> left)
    {
        foreach (var name in left.Where(name => ModuleOf(name) is not null).ToList())
        {
            var module = ModuleOf(name)!;
            var weight = module == model.Head.Name ? model.Head.Weight : model.Embedding.Weight;
            var entry = file.Entry(name);
            if (!entry.Shape.SequenceEqual([weight.Rows, weight.Columns]) || !WeightCopies.AreEqual(weight, file, entry))
                throw new AdapterException($"tensor '{name}' [{string.Join(", ", entry.Shape)}] of '{file.Path}' is not the '{module}' [{weight.Rows}, {weight.Columns}] of the model '{model.Folder}': the adapter was trained on another base, or after its vocabulary grew; pass that base");
            left.Remove(name);
        }
    }

    /// <summary>The embedding or the head whose whole weight a tensor of an adapter file is; null for any other tensor.</summary>
    public static string? ModuleOf(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.Ordinal) || !name.EndsWith(".weight", StringComparison.Ordinal)) return null;
        var module = name[Prefix.Length..^".weight".Length];
        if (module.EndsWith(".base_layer", StringComparison.Ordinal)) module = module[..^".base_layer".Length];
        module = Trainer.Models.TensorNames.OfTextModel(module);
        return module is MergeSource.Head or MergeSource.Embedding ? module : null;
    }
}
