using System.Globalization;
using Trainer.Engine;
using Trainer.Models.Drawing;

namespace Trainer.Training.Steps;

/// <summary>What a user should know of a model of several towers or of experts before it is trained.</summary>
internal static class ModelNotes
{
    public static IEnumerable<string> Of(CausalModel model)
    {
        if (model.IgnoredTensors.Count > 0)
        {
            var towers = model.IgnoredTensors.Select(Tower).Distinct().Order(StringComparer.Ordinal);
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{model.IgnoredTensors.Count} tensors of the folder are not used by text: {string.Join(", ", towers)}");
        }
        var shares = TrainedShare.Of(model.Adapter);
        yield return Shares(shares, model.Adapter.ParameterCount);
        if (shares.Any(share => share is { Kind: "experts", Trained: 0 }))
            yield return "experts and routers are frozen: the adapter trains what all tokens pass; to adapt experts too, name them with --target-parameters";
        if (model.Config.BalanceLoss > 0)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"config.json asks for router logits: the training loss holds {model.Config.BalanceLoss} x the term that balances experts; evaluations do not");
    }

    /// <summary>What is trained of each kind of module, in one line; kinds of which nothing is trained stand there with 0.</summary>
    public static string Shares(IReadOnlyList<TrainedShare> shares, long all)
        => "trained by kind: " + string.Join(", ", shares.Where(share => share.Kind is not ("norms" or "embeddings" or "head") || share.Trained > 0)
        .Select(share => string.Create(CultureInfo.InvariantCulture,
            $"{share.Kind} {share.Trained} of {share.Total} ({(all == 0 ? 0 : 100.0 * share.Trained / all):0.#} % of what is trained)")));

    // The module at the top, or below the model's own.
    private static string Tower(string tensor)
    {
        var parts = tensor.Split('.');
        return parts[0] == "model" ? string.Join('.', parts[..Math.Min(2, parts.Length)]) : parts[0];
    }
}
