using Trainer.Models.Config;
using Trainer.Models.Drawing;

namespace Trainer.Engine.Fast;

/// <summary>What the hand-written engine can compute; the rest is the reference engine's.</summary>
public static class FastCapabilities
{
    /// <summary>Why a model with an adapter needs the reference engine, or null where the fast one can compute it.</summary>
    /// <param name="adapter">The model, with what is trained of it.</param>
    public static string? Refusal(AdapterBlueprint adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        var config = adapter.Decoder.Config;
        if (config.QkNorm != QkNorm.None && config.FusedProjections) return "it has no query norms on fused projections";
        if (FastFamilies.Refusal(config) is { } lacking) return lacking;
        if ((adapter.Find(adapter.Decoder.Embedding)?.Rows ?? adapter.Find(adapter.Decoder.Head)?.Rows) is not null) return "it has no trained rows of tokens";
        if (adapter.Find(adapter.Decoder.Embedding)?.Update is not null) return "it has no adapter on the embedding";
        return adapter.Find(adapter.Decoder.Head)?.Update?.Magnitude is not null ? "it has no DoRA on the head" : null;
    }

    /// <summary>The same of a model as attached.</summary>
    internal static string? Refusal(LoadedDecoder model) => Refusal(model.Adapter);
}
