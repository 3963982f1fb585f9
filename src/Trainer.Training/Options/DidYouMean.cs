using F23.StringSimilarity;

namespace Trainer.Training.Options;

/// <summary>The known word nearest to a misspelt one.</summary>
public static class DidYouMean
{
    // Insert, delete, replace, swap of neighbours.
    private static readonly OptimalStringAlignment Edits = new();

    /// <summary>The nearest candidate, or null when none is near enough to be meant.</summary>
    public static string? Nearest(string word, IEnumerable<string> candidates)
    {
        string? best = null;
        double least = Math.Max(1, word.Length / 3) + 1;
        foreach (var candidate in candidates)
        {
            var distance = Edits.Distance(word, candidate);
            // A forgotten half of a name (`--rank-pat`) is far by edits and yet obvious.
            if (word.Length >= 4 && candidate.StartsWith(word, StringComparison.Ordinal)) distance = Math.Min(distance, 1);
            if (distance >= least) continue;
            least = distance;
            best = candidate;
        }
        return best;
    }
}
