using Trainer.Engine;
using Trainer.Models;

namespace Trainer.Adapters;

/// <summary>Fills trained copies of base tensors with the base's values.</summary>
internal static class BaseCopies
{
    public static void Write(CausalModel model)
    {
        var parameters = model.Parameters;
        if (model.Embedding.Trained is { } embedding) parameters.WriteWeight(embedding, model.Embedding.Weight);
        foreach (var linear in model.Linears.Append(model.Head))
        {
            if (linear.TrainedWeight is { } weight) parameters.WriteWeight(weight, linear.Weight);
            if (linear.TrainedBias is { } bias) parameters.Write(bias, linear.Bias!);
        }
        foreach (var norm in model.Layers.SelectMany(layer => layer.Norms).Append(model.FinalNorm))
            if (norm.Trained is { } trained) parameters.Write(trained, norm.Weight);
    }
}
