namespace Trainer.Engine;

/// <summary>Makes every weight of a model trainable: names and shapes as Hugging Face has them, values copied from the base.</summary>
internal static class FullTraining
{
    public static void Prepare(CausalModel model)
    {
        var tensors = new List<(string Name, long[] Shape)>();
        var steps = new List<Action<ParameterBuffer>>();
        void Add(string name, long[] shape, Action<ParameterBuffer, ParameterEntry> set)
        {
            tensors.Add((name, shape));
            steps.Add(parameters => set(parameters, parameters.Find(name)!));
        }
        Add($"{model.Embedding.Name}.weight", [model.Embedding.Weight.Rows, model.Embedding.Weight.Columns], (parameters, entry) =>
        {
            parameters.WriteWeight(entry, model.Embedding.Weight);
            model.Embedding.Trained = entry;
            if (model.Config.TiedEmbeddings) model.Head.TrainedWeight = entry;
        });
        foreach (var linear in model.Config.TiedEmbeddings ? model.Linears : model.Linears.Append(model.Head))
        {
            Add($"{linear.Name}.weight", [linear.OutFeatures, linear.InFeatures], (parameters, entry) =>
            {
                parameters.WriteWeight(entry, linear.Weight);
                linear.TrainedWeight = entry;
            });
            if (linear.Bias is not { } bias) continue;
            Add($"{linear.Name}.bias", [linear.OutFeatures], (parameters, entry) =>
            {
                parameters.Write(entry, bias);
                linear.TrainedBias = entry;
            });
        }
        foreach (var norm in model.Layers.SelectMany(layer => layer.Norms).Append(model.FinalNorm))
        {
            Add($"{norm.Name}.weight", [norm.Weight.NumberOfElements], (parameters, entry) =>
            {
                parameters.Write(entry, norm.Weight);
                norm.Trained = entry;
            });
        }
        var buffer = new ParameterBuffer(tensors, model.Options.Device);
        foreach (var step in steps) step(buffer);
        model.Attach(buffer);
    }
}
