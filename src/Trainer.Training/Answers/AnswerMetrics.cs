using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Trainer.Training.Answers;

/// <summary>How well an answer is the wanted one: a number from 0 to 1.</summary>
public static partial class AnswerMetrics
{
    /// <summary>What metrics are called.</summary>
    public static IReadOnlyList<string> Names { get; } = ["exact_match", "contains", "f1", "rouge_l", "json_valid", "choice"];

    /// <summary>The score of an answer.</summary>
    /// <param name="metric">One of <see cref="Names"/>.</param>
    /// <param name="answer">What the model said.</param>
    /// <param name="reference">What was wanted.</param>
    public static double Score(string metric, string answer, string reference) => metric switch
    {
        "exact_match" => Spaced(answer) == Spaced(reference) ? 1 : 0,
        "contains" => Spaced(answer).Contains(Spaced(reference), StringComparison.OrdinalIgnoreCase) ? 1 : 0,
        "f1" => F1(SquadWords(answer), SquadWords(reference)),
        "rouge_l" => RougeL(Words(answer), Words(reference)),
        "json_valid" => IsJson(answer) ? 1 : 0,
        "choice" => Choice(reference) is { } wanted && Choice(answer) == wanted ? 1 : 0,
        _ => throw new ArgumentException($"there is no metric '{metric}'"),
    };

    /// <summary>Whether a wanted answer can be compared by a metric at all: a choice needs a letter.</summary>
    /// <param name="metric">One of <see cref="Names"/>.</param>
    /// <param name="reference">What was wanted.</param>
    public static bool IsComparable(string metric, string reference) => metric != "choice" || Choice(reference) is not null;

    private static string Spaced(string text) => Whitespace().Replace(text.Trim(), " ");

    // SQuAD's words (evaluate-v1.1.py): small letters, no punctuation, no articles.
    private static string[] SquadWords(string text)
    {
        var kept = new StringBuilder();
        foreach (var rune in text.ToLowerInvariant().EnumerateRunes())
            if (!(rune.IsAscii && char.IsAsciiLetterOrDigit((char)rune.Value) is false && !Rune.IsWhiteSpace(rune))) kept.Append(rune);
        return [.. kept.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Where(word => word is not ("a" or "an" or "the"))];
    }

    // Both empty are the same; one empty shares nothing.
    private static double F1(string[] answer, string[] reference)
    {
        if (answer.Length == 0 || reference.Length == 0) return answer.Length == reference.Length ? 1 : 0;
        var left = reference.GroupBy(word => word).ToDictionary(group => group.Key, group => group.Count());
        var shared = 0;
        foreach (var word in answer)
        {
            if (!left.TryGetValue(word, out var count) || count == 0) continue;
            left[word] = count - 1;
            shared++;
        }
        return 2.0 * shared / (answer.Length + reference.Length);
    }

    // The words of the rouge-score package, with letters and digits of every script.
    private static string[] Words(string text) => [.. Word().Matches(text.ToLowerInvariant()).Select(match => match.Value)];

    /// <summary>F-measure of the longest common subsequence (Lin 2004).</summary>
    private static double RougeL(string[] answer, string[] reference)
    {
        if (answer.Length == 0 || reference.Length == 0) return 0;
        var longest = new int[reference.Length + 1];
        foreach (var word in answer)
        {
            var diagonal = 0;
            for (var at = 1; at <= reference.Length; at++)
            {
                var above = longest[at];
                longest[at] = word == reference[at - 1] ? diagonal + 1 : Math.Max(above, longest[at - 1]);
                diagonal = above;
            }
        }
        return 2.0 * longest[^1] / (answer.Length + reference.Length);
    }

    private static bool IsJson(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The letter that a text chooses: one it begins with, else the one it calls the answer, else the last that stands alone. "A" as a word of a
    /// sentence is none.</summary>
    private static char? Choice(string text)
    {
        if (FirstLetter().Match(text) is { Success: true } first) return char.ToUpperInvariant(first.Groups[1].Value[0]);
        if (CalledAnswer().Match(text) is { Success: true } called) return char.ToUpperInvariant(called.Groups[1].Value[0]);
        return AloneLetter().Matches(text).LastOrDefault() is { } alone ? alone.Groups[1].Value[0] : null;
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();

    [GeneratedRegex(@"[\p{L}\p{N}]+")]
    private static partial Regex Word();

    [GeneratedRegex(@"^\s*[(\[]?([A-Za-z])(?:[.):,\]]|\s*$)")]
    private static partial Regex FirstLetter();

    [GeneratedRegex(@"answer(?:\s+is)?\s*:?\s*[*(\[]*((?-i:[A-J]))(?![A-Za-z'])", RegexOptions.IgnoreCase)]
    private static partial Regex CalledAnswer();

    [GeneratedRegex(@"(?<![A-Za-z'])([B-HJ])(?![A-Za-z'])")]
    private static partial Regex AloneLetter();
}
