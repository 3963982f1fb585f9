namespace Trainer.Models.Drawing;

/// <summary>What a module holds.</summary>
public enum ModuleKind
{
    /// <summary>A table with a row for each token.</summary>
    Embedding,
    /// <summary>A matrix [rows, columns], perhaps with a bias [rows]: what can be quantized and adapted.</summary>
    Linear,
    /// <summary>The weight [rows] of a norm.</summary>
    Norm,
}
