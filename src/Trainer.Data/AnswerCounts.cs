using System.Globalization;

namespace Trainer.Data;

/// <summary>How many answers of preference data there are to learn from.</summary>
/// <param name="Pairs">Pairs of a better and a worse answer.</param>
/// <param name="Wanted">Answers with a thumb up.</param>
/// <param name="Unwanted">Answers with a thumb down.</param>
/// <param name="Prompts">Prompts that the model answers itself.</param>
public sealed record AnswerCounts(long Pairs = 0, long Wanted = 0, long Unwanted = 0, long Prompts = 0)
{
    // What the authors of KTO advise (arXiv 2402.01306, section 4.2).
    private const double MostBalanced = 4.0 / 3;

    /// <summary>The counts in words; empty where the data is no preference data.</summary>
    public string Words() => string.Join(", ",
        new[] { (Pairs, "pairs"), (Wanted, "wanted answers"), (Unwanted, "unwanted answers"), (Prompts, "prompts to answer") }.Where(each => each.Item1 > 0)
        .Select(each => $"{each.Item1} {each.Item2}"));

    /// <summary>What is lopsided about labelled answers, as a sentence, or null: weight times count of the wanted ones should be 1 to 4/3 times that of the
    /// others.</summary>
    /// <param name="wantedWeight">Weight of wanted answers.</param>
    /// <param name="unwantedWeight">Weight of unwanted answers.</param>
    public string? Imbalance(double wantedWeight = 1, double unwantedWeight = 1)
    {
        if (Wanted + Unwanted == 0) return null;
        if (Wanted == 0 || Unwanted == 0)
            return $"every labelled answer is {(Wanted == 0 ? "unwanted" : "wanted")}: there is nothing to tell it from; check the column 'label', or add "
                + "answers of the other kind";
        var ratio = wantedWeight * Wanted / (unwantedWeight * Unwanted);
        if (ratio is >= 1 and <= MostBalanced) return null;
        var advice = ratio > MostBalanced ? $"--undesirable-weight {Number(wantedWeight * Wanted / Unwanted)}"
            : $"--desirable-weight {Number(unwantedWeight * Unwanted / Wanted)}";
        return $"{Wanted} wanted and {Unwanted} unwanted answers count {Number(ratio)} to 1; KTO's authors advise 1 to 1.33: pass {advice}";
    }

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
