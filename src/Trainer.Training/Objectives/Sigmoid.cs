namespace Trainer.Training.Objectives;

/// <summary>The logistic function and its logarithm, stable for any argument.</summary>
internal static class Sigmoid
{
    /// <summary>1 / (1 + e^-x).</summary>
    public static double Of(double x) => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x));

    /// <summary>log of it: -softplus(-x).</summary>
    public static double Log(double x) => x >= 0 ? -LogOnePlus(Math.Exp(-x)) : x - LogOnePlus(Math.Exp(x));

    /// <summary>Its derivative.</summary>
    public static double Slope(double x) => Of(x) * Of(-x);

    /// <summary>log(1 + x) without losing a small x.</summary>
    public static double LogOnePlus(double x) => Math.Abs(x) < 1e-5 ? x * (1 - x / 2 + x * x / 3) : Math.Log(1 + x);

    /// <summary>e^x - 1 without losing a small x.</summary>
    public static double ExpMinusOne(double x) => Math.Abs(x) < 1e-5 ? x * (1 + x / 2 + x * x / 6) : Math.Exp(x) - 1;
}
