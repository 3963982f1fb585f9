namespace Trainer.Models.Parts;

/// <summary>The part of a layer that computes each token for itself, described by data.</summary>
public abstract record FeedForward
{
    /// <summary>What it is, in words for people.</summary>
    public abstract string Name { get; }

    /// <summary>Its modules in the order PEFT visits them, norms behind linears.</summary>
    /// <param name="path">Where the layer lies.</param>
    internal abstract IEnumerable<ModuleBlueprint> Draw(LayerPath path);
}
