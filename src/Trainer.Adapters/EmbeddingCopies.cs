using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Safetensors;
using Trainer.Engine;
using Trainer.Engine.Weights;

namespace Trainer.Adapters;

/// <summary>
/// PEFT writes the frozen embedding and head beside an adapter that targets one of them or that was trained after the vocabulary grew.
/// They say nothing new where they are the base's; where they differ, the adapter was trained on another base.
/// </summary>
internal static class EmbeddingCopies
{
    /// <summary>Module of the embedding, as PEFT names it.</summary>
    public const string Embedding = "model.embed_tokens";

    /// <summary>Module of the head.</summary>
    public const string Head = "lm_head";

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
                throw new AdapterException($"tensor '{name}' [{string.Join(", ", entry.Shape)}] of '{file.Path}' is not the "
                    + $"'{module}' [{weight.Rows}, {weight.Columns}] of the model '{model.Folder}': the adapter was trained on another base, or after its "
                    + "vocabulary grew; pass that base");
            left.Remove(name);
        }
    }

    /// <summary>Takes the head's copy of a trained table that both share off the list: PEFT writes the table twice.</summary>
    /// <param name="file">The adapter's weights.</param>
    /// <param name="shared">Name of the table.</param>
    /// <param name="left">Names that no trained tensor has claimed.</param>
    /// <exception cref="AdapterException">The copies differ.</exception>
    public static void RemoveShared(SafetensorsFile file, string shared, HashSet<string> left)
    {
        const string Name = Prefix + Head + ".weight";
        if (!left.Remove(Name)) return;
        SafetensorsEntry one = file.Entry(Name), other = file.Entry(shared);
        const int Part = 1 << 24;
        var same = one.Dtype == other.Dtype && one.ByteCount == other.ByteCount;
        for (long at = 0; same && at < one.ByteCount; at += Part)
        {
            var count = (int)Math.Min(Part, one.ByteCount - at);
            same = file.Bytes(one, at, count).SequenceEqual(file.Bytes(other, at, count));
        }
        if (!same)
            throw new AdapterException($"tensors '{Name}' and '{shared}' of '{file.Path}' differ although adapter_config.json ties them "
                + "(ensure_weight_tying); write the adapter again");
    }

    /// <summary>The embedding or the head whose whole weight a tensor of an adapter file is; null for any other tensor.</summary>
    public static string? ModuleOf(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.Ordinal) || !name.EndsWith(".weight", StringComparison.Ordinal)) return null;
        var module = name[Prefix.Length..^".weight".Length];
        if (module.EndsWith(".base_layer", StringComparison.Ordinal)) module = module[..^".base_layer".Length];
        module = Trainer.Models.Config.TensorNames.OfTextModel(module);
        return module is Head or Embedding ? module : null;
    }
}
