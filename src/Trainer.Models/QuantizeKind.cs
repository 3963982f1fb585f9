namespace Trainer.Models;

/// <summary>How frozen linear weights are held in memory.</summary>
public enum QuantizeKind
{
    /// <summary>As stored in the checkpoint, memory-mapped.</summary>
    None,
    /// <summary>4-bit NormalFloat in blocks of 64 (arXiv 2305.14314).</summary>
    Nf4,
    /// <summary>8-bit absmax, one scale a row.</summary>
    Int8,
}
