namespace Trainer.Engine.Fast.Operations;

/// <summary>Where in a step a time belongs: what comes once, or again for every layer.</summary>
internal enum StepPlace
{
    /// <summary>Around the layers: embedding, head, loss.</summary>
    Around,

    /// <summary>The first layer, below which nothing needs a gradient.</summary>
    FirstLayer,

    /// <summary>Any other layer.</summary>
    Layer,

    /// <summary>A layer's forward pass once more before its backward pass, which the last layer does without.</summary>
    Recomputed,
}
