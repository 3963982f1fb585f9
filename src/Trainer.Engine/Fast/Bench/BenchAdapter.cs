namespace Trainer.Engine.Fast;

/// <summary>An adapter on every linear of the layers, both factors non-zero, so that every gradient is exercised.</summary>
internal static class BenchAdapter
{
    public static void Attach(CausalModel model, int rank)
    {
        var tensors = new List<(string Name, long[] Shape)>();
        foreach (var linear in model.Linears)
        {
            tensors.Add(($"{linear.Name}.A", [rank, linear.InFeatures]));
            tensors.Add(($"{linear.Name}.B", [linear.OutFeatures, rank]));
        }
        var parameters = new ParameterBuffer(tensors);
        var index = 0;
        foreach (var linear in model.Linears)
        {
            var adapter = new LinearAdapter { Rank = rank, Alpha = 2 * rank, Scale = 2, Index = index++, A = parameters.Find($"{linear.Name}.A")!, B = parameters.Find($"{linear.Name}.B")! };
            Fill(parameters, adapter.A, 1 / MathF.Sqrt(linear.InFeatures), index);
            Fill(parameters, adapter.B, 0.01f / MathF.Sqrt(rank), index + 7);
            linear.Adapter = adapter;
        }
        model.Attach(parameters);
    }

    private static void Fill(ParameterBuffer parameters, ParameterEntry entry, float size, int seed)
    {
        var random = new Random(seed);
        foreach (ref var value in parameters.ValuesOf(entry)) value = (random.NextSingle() * 2 - 1) * size;
    }
}
