namespace Trainer.Models.Parts;

/// <summary>What a module holds.</summary>
public enum ModuleKind
{
    /// <summary>A table with a row for each token.</summary>
    Embedding,
    /// <summary>A matrix [rows, columns], perhaps with a bias [rows]: what can be quantized and adapted.</summary>
    Linear,
    /// <summary>The weight [rows] of a norm, or [rows, columns] where each head has its own; perhaps with a bias.</summary>
    Norm,
    /// <summary>A small tensor of any shape that is never trained: a router, a decay, a convolution's taps.</summary>
    Parameter,
    /// <summary>The matrices of a block's experts.</summary>
    Experts,
}
