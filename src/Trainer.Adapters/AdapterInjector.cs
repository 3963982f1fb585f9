using Trainer.Engine;
using Trainer.Models.Drawing;
using Trainer.Models.Lora;

namespace Trainer.Adapters;

/// <summary>Gives chosen modules of a model their adapters and trained copies, and the model one parameter buffer for all of them.</summary>
public static class AdapterInjector
{
    /// <summary>Puts a fresh adapter on a model; its output does not change, but where the adapter makes up for what quantization lost.</summary>
    /// <param name="model">A loaded model; what it had before is replaced.</param>
    /// <param name="spec">The adapter's shape.</param>
    /// <param name="seed">Seed of A.</param>
    /// <exception cref="AdapterOptionException">Nothing matches, a rank is below 1, or names match nothing.</exception>
    public static void Inject(CausalModel model, LoraSpec spec, int seed) => Inject(model, spec, seed, null);

    /// <summary>As the other, with A of each linear given.</summary>
    internal static void Inject(CausalModel model, LoraSpec spec, int seed, Func<LinearModule, float[]>? firstA)
    {
        model.Attach(AdapterBlueprint.Fresh(model.Blueprint, spec));
        if (spec.Init is not (AdapterInit.Kaiming or AdapterInit.Gaussian)) RequireLinears(model, spec.Init);
        var parameters = model.Parameters;
        using var plain = new PlainWeights(model);
        foreach (var linear in model.Linears.Append(model.Head))
        {
            if (linear.Adapter is not { } adapter) continue;
            if (firstA is not null) parameters.Write(adapter.A, firstA(linear));
            else if (spec.Init is AdapterInit.Kaiming or AdapterInit.Gaussian)
            {
                var random = new AdapterRandom(seed, adapter.A.Name);
                var values = new float[adapter.A.Count];
                if (spec.Init == AdapterInit.Kaiming) random.Uniform(values, 1 / Math.Sqrt(linear.InFeatures));
                else random.Normal(values, 1.0 / adapter.Rank);
                parameters.Write(adapter.A, values);
            }
            else
            {
                var (a, b) = AdapterStart.Of(spec.Init, linear, plain, seed);
                parameters.Write(adapter.A, a);
                parameters.Write(adapter.B, b);
            }
            if (adapter.Magnitude is { } magnitude) parameters.Write(magnitude, linear.RowNorms());
        }
        foreach (var experts in model.Experts)
        {
            var drawn = new[] { experts.GateUpAdapter, experts.DownAdapter }.OfType<ExpertAdapter>().Select(adapter => (adapter.A, adapter.Rank))
                .Concat(experts.OwnAdapters.Select(adapter => (adapter.A, adapter.Rank)));
            foreach (var (a, rank) in drawn)
            {
                var values = new float[a.Count];
                if (spec.Init == AdapterInit.Kaiming) new AdapterRandom(seed, a.Name).Uniform(values, 1 / Math.Sqrt(a.Shape[1]));
                else new AdapterRandom(seed, a.Name).Normal(values, 1.0 / rank);
                parameters.Write(a, values);
            }
        }
        if (model.Embedding.Adapter is { } table)
        {
            // The other way round from a linear layer: A is 0 and B is drawn, as PyTorch draws embeddings.
            var values = new float[table.B.Count];
            new AdapterRandom(seed, table.B.Name).Normal(values, 1);
            parameters.Write(table.B, values);
            if (table.Magnitude is { } magnitude) parameters.Write(magnitude, model.Embedding.ColumnNorms());
        }
        model.CopyBase();
    }

    private static void RequireLinears(CausalModel model, AdapterInit init)
    {
        if (init == AdapterInit.Loftq && !PlainWeights.IsQuantizedHere(model))
            throw new AdapterOptionException(model.Config.StoredQuantization is null
                ? "--init-lora loftq makes up for what quantization loses, and nothing is quantized; pass --quantize nf4, or another --init-lora"
                : $"--init-lora loftq needs the weights before they were quantized, and '{model.Folder}' holds quantized ones; name the folder they were made "
                    + "from");
        if (model.Embedding.Adapter is null && model.Experts.All(experts => experts.GateUpAdapter is null && experts.DownAdapter is null
            && !experts.OwnAdapters.Any())) return;
        throw new AdapterOptionException($"--init-lora {init.ToString().ToLowerInvariant()} knows linear layers only, and an embedding or experts are adapted "
            + "too; choose other --target-modules, or --init-lora kaiming");
    }
}
