namespace Trainer.Engine.Fast;

/// <summary>What the hand-written engine can compute; the rest is the reference engine's.</summary>
internal static class FastCapabilities
{
    /// <summary>Why this model with its present adapter needs the reference engine, or null where the fast one can compute it.</summary>
    /// <param name="model">The model as attached.</param>
    public static string? Refusal(CausalModel model)
    {
        var config = model.Config;
        if (model.Options.Device != "cpu") return $"it computes on the processor, not on '{model.Options.Device}'";
        if (config.QkNorm != QkNorm.None && config.FusedProjections) return "it has no query norms on fused projections";
        if (FastFamilies.Refusal(config) is { } lacking) return lacking;
        if (model.Embedding.Adapter is not null) return "it has no adapter on the embedding";
        return model.Head.Adapter?.Magnitude is not null ? "it has no DoRA on the head" : null;
    }
}
