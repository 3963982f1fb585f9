namespace Trainer.Numerics.Elementwise;

/// <summary>The gated unit of gpt-oss: gates and ups alternate in a row; h = (u' + 1) g' / (1 + e^(-1.702 g')), where g' is g cut off above 7 and u' is u cut
/// off at 7 and -7.</summary>
/// <remarks>A gradient passes where nothing was cut off, the limits themselves among them.</remarks>
public static unsafe class ClampedUnit
{
    private const float Limit = 7f;
    private const float Steepness = 1.702f;

    /// <summary>h of one row.</summary>
    /// <param name="pairs">(n, 2): gate, up.</param>
    /// <param name="h">(n).</param>
    /// <param name="n">Pairs.</param>
    public static void Forward(float* pairs, float* h, int n)
    {
        for (var i = 0; i < n; i++)
        {
            var (gate, up) = (Math.Min(pairs[2 * i], Limit), Math.Clamp(pairs[2 * i + 1], -Limit, Limit));
            h[i] = (up + 1f) * gate * Logistic(gate);
        }
    }

    /// <summary>Puts the gradients of gates and ups in their places.</summary>
    /// <param name="pairs">(n, 2): gate, up; become their gradients.</param>
    /// <param name="dh">Gradient of h (n).</param>
    /// <param name="n">Pairs.</param>
    public static void Backward(float* pairs, float* dh, int n)
    {
        for (var i = 0; i < n; i++)
        {
            float g = pairs[2 * i], u = pairs[2 * i + 1];
            var (gate, up) = (Math.Min(g, Limit), Math.Clamp(u, -Limit, Limit));
            var s = Logistic(gate);
            pairs[2 * i] = g <= Limit ? dh[i] * (up + 1f) * (s + gate * Steepness * s * (1f - s)) : 0f;
            pairs[2 * i + 1] = MathF.Abs(u) <= Limit ? dh[i] * gate * s : 0f;
        }
    }

    private static float Logistic(float gate) => 1f / (1f + Exponential.Of(-Steepness * gate));
}
