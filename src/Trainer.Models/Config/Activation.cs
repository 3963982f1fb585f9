namespace Trainer.Models.Config;

/// <summary>The activation in the feed-forward block.</summary>
public enum Activation
{
    /// <summary>x * sigmoid(x).</summary>
    Silu,
    /// <summary>GELU, tanh approximation.</summary>
    GeluTanh,
    /// <summary>GELU, exact.</summary>
    Gelu,
    /// <summary>max(x, 0) squared.</summary>
    ReluSquared,
    /// <summary>xIELU (arXiv 2411.13010), with learned slopes for either side.</summary>
    Xielu,
}
