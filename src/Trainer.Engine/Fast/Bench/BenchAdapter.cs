using Trainer.Models.Drawing;
using Trainer.Models.Lora;

namespace Trainer.Engine.Fast.Bench;

/// <summary>An adapter on every linear of the layers, both factors non-zero, so that every gradient is exercised.</summary>
internal static class BenchAdapter
{
    public static void Attach(CausalModel model, int rank, double dropout = 0)
    {
        model.Attach(AdapterBlueprint.Of(model.Blueprint, new LoraSpec { Rank = rank, Alpha = 2 * rank, Dropout = dropout }));
        foreach (var linear in model.Linears)
        {
            var adapter = linear.Adapter!;
            Fill(model.Parameters, adapter.A, 1 / MathF.Sqrt(linear.InFeatures), adapter.Index);
            Fill(model.Parameters, adapter.B, 0.01f / MathF.Sqrt(rank), adapter.Index + 7);
        }
    }

    private static void Fill(ParameterBuffer parameters, ParameterEntry entry, float size, int seed)
    {
        var random = new Random(seed);
        foreach (ref var value in parameters.ValuesOf(entry)) value = (random.NextSingle() * 2 - 1) * size;
    }
}
