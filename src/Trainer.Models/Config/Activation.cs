namespace Trainer.Models;

/// <summary>The gate's activation in the feed-forward block.</summary>
public enum Activation
{
    /// <summary>x * sigmoid(x).</summary>
    Silu,
    /// <summary>GELU, tanh approximation.</summary>
    GeluTanh,
    /// <summary>GELU, exact.</summary>
    Gelu,
}
