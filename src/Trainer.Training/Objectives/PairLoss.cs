namespace Trainer.Training.Objectives;

/// <summary>
/// The losses of the DPO family for one pair, with their derivatives by log p of either answer. R is the policy's log-ratio to the reference of the
/// chosen (c) and the rejected (j) answer, n their tokens, z = beta (Rc - Rj). Sources: DPO arXiv 2305.18290, IPO 2310.12036, robust 2403.00409,
/// conservative (ericmitchell.ai/cdpo.pdf), SLiC hinge 2305.10425, APO 2408.06266, SPPO 2405.00675, NCA 2402.05369, BCO 2404.04656, EXO 2402.00856,
/// DiscoPOP 2406.08414; formulas as TRL's DPOTrainer has them.
/// </summary>
internal static class PairLoss
{
    private const double DiscoPopTemperature = 0.05;

    /// <summary>A pair's loss and its derivatives by the two sums of log-probabilities.</summary>
    public readonly record struct Result(double Loss, double ByChosen, double ByRejected);

    private static readonly Dictionary<string, Func<AnswerScore, AnswerScore, double, double, Result>> All = new(StringComparer.Ordinal)
    {
        ["sigmoid"] = (c, j, beta, _) => OfMargin(c, j, beta, z => -Sigmoid.Log(z), z => -Sigmoid.Of(-z)),
        ["conservative"] = (c, j, beta, e) => OfMargin(c, j, beta, z => -(1 - e) * Sigmoid.Log(z) - e * Sigmoid.Log(-z),
            z => -(1 - e) * Sigmoid.Of(-z) + e * Sigmoid.Of(z)),
        ["robust"] = (c, j, beta, e) => OfMargin(
            c, j, beta, z => (-(1 - e) * Sigmoid.Log(z) + e * Sigmoid.Log(-z)) / (1 - 2 * e),
            z => (-(1 - e) * Sigmoid.Of(-z) - e * Sigmoid.Of(z)) / (1 - 2 * e)),
        ["hinge"] = (c, j, beta, _) => OfMargin(c, j, beta, z => Math.Max(0, 1 - z), z => z < 1 ? -1 : 0),
        ["ipo"] = Ipo,
        ["apo-zero"] = (c, j, beta, _) => new(
            1 - Sigmoid.Of(beta * c.Ratio) + Sigmoid.Of(beta * j.Ratio), -beta * Sigmoid.Slope(beta * c.Ratio), beta * Sigmoid.Slope(beta * j.Ratio)),
        ["apo-down"] = ApoDown,
        ["sppo-hard"] = SppoHard,
        ["nca-pair"] = (c, j, beta, _) => new(
            -Sigmoid.Log(beta * c.Ratio) - 0.5 * Sigmoid.Log(-beta * c.Ratio) - 0.5 * Sigmoid.Log(-beta * j.Ratio),
            beta * (-Sigmoid.Of(-beta * c.Ratio) + 0.5 * Sigmoid.Of(beta * c.Ratio)), 0.5 * beta * Sigmoid.Of(beta * j.Ratio)),
        ["bco-pair"] = (c, j, beta, _) => new(
            -Sigmoid.Log(beta * c.Ratio) - Sigmoid.Log(-beta * j.Ratio), -beta * Sigmoid.Of(-beta * c.Ratio), beta * Sigmoid.Of(beta * j.Ratio)),
        ["exo-pair"] = Exo,
        ["sigmoid-norm"] = SigmoidNorm,
        ["discopop"] = DiscoPop,
    };

    /// <summary>The words that <c>--loss-type</c> takes for pairs.</summary>
    public static IReadOnlyList<string> Names => [.. All.Keys];

    /// <summary>The losses that read <c>--label-smoothing</c>.</summary>
    public static bool ReadsSmoothing(string name) => name is "conservative" or "robust" or "exo-pair";

    /// <summary>The loss of one pair.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="chosen">The better answer.</param>
    /// <param name="rejected">The worse one.</param>
    /// <param name="beta">Strength.</param>
    /// <param name="smoothing">Share of labels taken for wrong.</param>
    public static Result Of(string name, AnswerScore chosen, AnswerScore rejected, double beta, double smoothing)
        => All[name](chosen, rejected, beta, smoothing);

    private static Result OfMargin(AnswerScore c, AnswerScore j, double beta, Func<double, double> loss, Func<double, double> slope)
    {
        var z = beta * (c.Ratio - j.Ratio);
        return new(loss(z), beta * slope(z), -beta * slope(z));
    }

    private static Result Ipo(AnswerScore c, AnswerScore j, double beta, double smoothing)
    {
        var u = c.Ratio / c.Count - j.Ratio / j.Count - 1 / (2 * beta);
        return new(u * u, 2 * u / c.Count, -2 * u / j.Count);
    }

    private static Result ApoDown(AnswerScore c, AnswerScore j, double beta, double smoothing)
    {
        var (alone, margin) = (beta * c.Ratio, beta * (c.Ratio - j.Ratio));
        return new(
            Sigmoid.Of(alone) + 1 - Sigmoid.Of(margin), beta * (Sigmoid.Slope(alone) - Sigmoid.Slope(margin)), beta * Sigmoid.Slope(margin));
    }

    private static Result SppoHard(AnswerScore c, AnswerScore j, double beta, double smoothing)
    {
        var (a, b) = (c.Ratio - 0.5 / beta, j.Ratio + 0.5 / beta);
        return new(a * a + b * b, 2 * a, 2 * b);
    }

    private static Result Exo(AnswerScore c, AnswerScore j, double beta, double smoothing)
    {
        var z = beta * (c.Ratio - j.Ratio);
        var (high, low) = (Sigmoid.Log(z) - Math.Log(1 - smoothing), Sigmoid.Log(-z) - Math.Log(smoothing));
        var slope = beta * Sigmoid.Slope(z) * (high - low);
        return new(Sigmoid.Of(z) * high + Sigmoid.Of(-z) * low, slope, -slope);
    }

    private static Result SigmoidNorm(AnswerScore c, AnswerScore j, double beta, double smoothing)
    {
        var z = beta * (c.Ratio / c.Count - j.Ratio / j.Count);
        var slope = -beta * Sigmoid.Of(-z);
        return new(-Sigmoid.Log(z), slope / c.Count, -slope / j.Count);
    }

    private static Result DiscoPop(AnswerScore c, AnswerScore j, double beta, double smoothing)
    {
        var z = beta * (c.Ratio - j.Ratio);
        var (mix, change) = (Sigmoid.Of(z / DiscoPopTemperature), Sigmoid.Slope(z / DiscoPopTemperature) / DiscoPopTemperature);
        var falling = Math.Exp(-z);
        var slope = beta * (-Sigmoid.Of(-z) * (1 - mix) + Sigmoid.Log(z) * change - falling * mix + falling * change);
        return new(-Sigmoid.Log(z) * (1 - mix) + falling * mix, slope, -slope);
    }
}
