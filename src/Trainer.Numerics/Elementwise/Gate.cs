namespace Trainer.Numerics.Elementwise;

/// <summary>The activation of a gated feed-forward layer.</summary>
public enum Gate
{
    /// <summary>x sigmoid(x) (SwiGLU, arXiv 2002.05202).</summary>
    Silu,
    /// <summary>GELU in its tanh form (GeGLU): 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).</summary>
    GeluTanh,
}
