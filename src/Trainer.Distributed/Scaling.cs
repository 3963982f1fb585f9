namespace Trainer.Distributed;

/// <summary>
/// What the one sum of an optimizer step costs over a link, and how a run grows with its ranks. Computed, not measured: a link is taken to carry its
/// rate in both directions at once, and all ranks to have the same one. The formulas are those of Thakur, Rabenseifner and Gropp (2005).
/// </summary>
public static class Scaling
{
    /// <summary>Seconds that a message takes whatever its length: two kernels and a switch with TCP.</summary>
    public const double MessageSeconds = 50e-6;

    /// <summary>Seconds of a sum in a ring: 2 (n - 1) messages of an n-th of the bytes each.</summary>
    /// <param name="bytes">The flat gradient.</param>
    /// <param name="ranks">n.</param>
    /// <param name="bytesPerSecond">The link's rate.</param>
    public static double RingSeconds(long bytes, int ranks, double bytesPerSecond)
        => 2 * (ranks - 1) * (MessageSeconds + bytes / (double)ranks / bytesPerSecond);

    /// <summary>Seconds of a sum up a binomial tree and down again: 2 log2 n messages, rounded up, of all bytes each.</summary>
    /// <param name="bytes">The flat gradient.</param>
    /// <param name="ranks">n.</param>
    /// <param name="bytesPerSecond">The link's rate.</param>
    public static double TreeSeconds(long bytes, int ranks, double bytesPerSecond) =>
        2 * Math.Ceiling(Math.Log2(ranks)) * (MessageSeconds + bytes / bytesPerSecond);

    /// <summary>How much longer than the mean the slowest rank takes, for which all wait: the expected maximum of n normal times.</summary>
    /// <param name="ranks">n.</param>
    /// <param name="deviation">Standard deviation of a rank's time as a share of its mean.</param>
    public static double SlowestRank(int ranks, double deviation)
    {
        const double Width = 0.01, Far = 8;
        // The mean of the maximum: what lies above zero of its distribution, less what lies below.
        var expected = 0.0;
        for (var x = Width / 2; x < Far; x += Width) expected += Width * (1 - Math.Pow(Normal(x), ranks) - Math.Pow(Normal(-x), ranks));
        return 1 + deviation * expected;
    }

    /// <summary>Share of n ranks' work that is not waiting.</summary>
    /// <param name="partSeconds">A rank's own part of a step.</param>
    /// <param name="slowest">The slowest rank beside the mean, at least 1.</param>
    /// <param name="sumSeconds">The sum.</param>
    public static double Efficiency(double partSeconds, double slowest, double sumSeconds) => partSeconds / (partSeconds * slowest + sumSeconds);

    // The normal distribution by the error function of Abramowitz and Stegun 7.1.26; error below 1e-7.
    private static double Normal(double x)
    {
        var z = Math.Abs(x) / Math.Sqrt(2);
        var t = 1 / (1 + 0.3275911 * z);
        var tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.Exp(-z * z);
        return x >= 0 ? 1 - tail / 2 : tail / 2;
    }
}
