namespace Trainer.Models.Parts;

/// <summary>No part that carries information from token to token: the layer has a feed-forward block alone.</summary>
public sealed record NoMixer : TokenMixer
{
    /// <inheritdoc/>
    public override string Name => "layer without a token mixer";

    internal override IEnumerable<ModuleBlueprint> Draw(LayerPath path) => [];
}
