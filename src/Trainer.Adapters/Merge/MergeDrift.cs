using Trainer.Engine;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Adapters.Merge;

/// <summary>How far the logits of a merged model are from those of base and adapter.</summary>
/// <param name="Largest">Largest absolute difference of any logit.</param>
/// <param name="Mean">Mean absolute difference.</param>
/// <param name="Agreement">Share of positions whose most likely token is the same.</param>
public sealed record MergeDrift(double Largest, double Mean, double Agreement)
{
    /// <summary>Measures on one batch; each model is loaded and released in its turn.</summary>
    /// <param name="baseFolder">The base.</param>
    /// <param name="adapterFolder">The adapter.</param>
    /// <param name="mergedFolder">The merged model.</param>
    /// <param name="trained">How the base was loaded in training (quantized or not), which is what the adapter fits.</param>
    /// <param name="batch">Tokens to compare on.</param>
    public static MergeDrift Measure(string baseFolder, string adapterFolder, string mergedFolder, ModelLoadOptions trained, TokenBatch batch)
    {
        ArgumentNullException.ThrowIfNull(trained);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor expected;
        using (var model = CausalModel.Load(baseFolder, trained))
        {
            PeftFolder.Load(model, adapterFolder, dropout: 0);
            expected = model.Logits(batch).cpu();
        }
        using var merged = CausalModel.Load(mergedFolder, trained with { Quantize = QuantizeKind.None });
        var found = merged.Logits(batch).cpu();
        var difference = (expected - found).abs();
        return new MergeDrift(difference.max().item<float>(), difference.mean().item<float>(),
            expected.argmax(1).eq(found.argmax(1)).to(ScalarType.Float32).mean().item<float>());
    }
}
