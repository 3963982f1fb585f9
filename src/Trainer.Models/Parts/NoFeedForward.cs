namespace Trainer.Models.Parts;

/// <summary>No part that computes each token for itself: the layer has a token mixer alone.</summary>
public sealed record NoFeedForward : FeedForward
{
    /// <inheritdoc/>
    public override string Name => "layer without a feed-forward block";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path) => [];
}
