using Trainer.Checkpoints.Safetensors;
using Trainer.Engine;
using Trainer.Engine.Quantize;
using Trainer.Models.Config;
using Trainer.Models.Drawing;
using Trainer.Models.Lora;
using Trainer.Models.Parts;

namespace Trainer.Adapters;

/// <summary>
/// Adapters that PEFT saved as PiSSA or OLoRA trained them: A and B fit a base that had their beginning B0 A0 taken out. On the base as it is they mean
/// W + s (B A - B0 A0), an adapter of twice the rank; A0 and B0 follow from the base's own weights.
/// </summary>
internal static class DoubledAdapter
{
    /// <summary>Refuses what has no beginning in a weight.</summary>
    /// <exception cref="AdapterException">An embedding or experts are adapted.</exception>
    public static void RequireLinears(AdapterBlueprint blueprint, string folder)
    {
        if (blueprint.Modules.FirstOrDefault(trained => trained.Experts.Count > 0
            || (trained.Update is not null && trained.Module.Kind != ModuleKind.Linear)) is { } other)
            throw new AdapterException($"adapter '{folder}' was begun in the base's own directions (init_lora_weights), which '{other.Module.Path}' has none "
                + "of; convert it with save_pretrained(path_initial_model_for_weight_conversion=...)");
    }

    /// <summary>Writes both halves of A and B of every adapted linear.</summary>
    /// <param name="model">The model with the doubled adapter attached.</param>
    /// <param name="init">PiSSA or OLoRA.</param>
    /// <param name="stored">Values of the file by the names of trained tensors.</param>
    /// <returns>The names of the tensors that are filled now.</returns>
    public static IReadOnlySet<string> Fill(CausalModel model, AdapterInit init, Func<string, float[]> stored)
    {
        var filled = new HashSet<string>(StringComparer.Ordinal);
        using var tensors = BaseTensors.Open(model.Folder);
        foreach (var linear in model.Linears.Append(model.Head))
        {
            if (linear.Adapter is not { } adapter) continue;
            var rank = adapter.Rank / 2;
            var (a0, b0) = Beginning(init, tensors, linear.Name, rank, adapter.Scale);
            var (a, b) = AdapterStart.Doubled(stored(adapter.A.Name), stored(adapter.B.Name), a0, b0, rank);
            model.Parameters.Write(adapter.A, a);
            model.Parameters.Write(adapter.B, b);
            filled.Add(adapter.A.Name);
            filled.Add(adapter.B.Name);
        }
        return filled;
    }

    /// <summary>A0 and B0 of a module, from the weight as the folder has it, however the model in memory is quantized.</summary>
    public static (float[] A, float[] B) Beginning(AdapterInit init, BaseTensors tensors, string module, int rank, double scale)
    {
        var plain = TensorNames.OfTextModel(module) + ".weight";
        var name = tensors.ByPlainName.GetValueOrDefault(plain) ?? tensors.ByPlainName[$"{EmbeddingCopies.Embedding}.weight"];
        var shape = tensors.Shapes[name].Shape;
        var weight = new float[shape[0] * shape[1]];
        tensors.Read(name, 0, weight);
        try
        {
            return AdapterStart.Beginning(init, module, weight, shape[0], rank, scale);
        }
        catch (AdapterOptionException fault)
        {
            throw new AdapterException(fault.Message, fault);
        }
    }
}
