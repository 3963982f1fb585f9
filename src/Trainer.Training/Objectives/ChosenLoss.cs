namespace Trainer.Training.Objectives;

/// <summary>The cross entropy of the better answers, which keeps a preference loss from making both sides unlikely.</summary>
internal static class ChosenLoss
{
    /// <summary>Weight times the mean over all tokens of the answers.</summary>
    public static double ByToken(IReadOnlyList<AnswerScore> answers, double weight, float[] weights)
    {
        var each = weight / answers.Sum(answer => answer.Count);
        double sum = 0;
        foreach (var answer in answers.Select(Whole))
        {
            answer.Pull(weights, -each);
            sum -= each * answer.Sum;
        }
        return sum;
    }

    /// <summary>Weight times the sum over answers of their mean token loss.</summary>
    public static double ByRow(IEnumerable<AnswerScore> answers, double weight, float[] weights)
    {
        double sum = 0;
        foreach (var answer in answers.Select(Whole))
        {
            answer.Pull(weights, -weight / answer.Count);
            sum -= weight * answer.Mean;
        }
        return sum;
    }

    /// <summary>Weight times the mean over all tokens of the answers, for a loss that is a mean over so many rows; the mean itself is measured as
    /// nll_loss.</summary>
    public static double Likely(IReadOnlyList<AnswerScore> answers, int rows, double weight, float[] weights, MetricSums metrics)
    {
        var loss = ByToken(answers, rows * weight, weights) / rows;
        metrics.Add("nll_loss", loss / weight);
        return loss;
    }

    private static AnswerScore Whole(AnswerScore answer) => answer with { Head = int.MaxValue };
}
