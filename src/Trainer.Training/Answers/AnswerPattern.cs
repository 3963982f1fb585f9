using System.Globalization;
using System.Text.RegularExpressions;

namespace Trainer.Training.Answers;

/// <summary>The part of an answer that is compared.</summary>
public sealed partial class AnswerPattern
{
    // A pattern of the user's meets text of a model; neither may hold a run up.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private static readonly Dictionary<string, string> Named = new()
    {
        ["number"] = @"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)",
        ["####"] = @"####[ \t]*(.*\S)",
        ["gsm8k"] = @"####[ \t]*(.*\S)",
        ["boxed"] = @"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}",
    };

    private readonly Regex _regex;

    /// <summary>Reads a pattern.</summary>
    /// <param name="pattern">number, ####, boxed, or a regular expression; its first group counts where it has one.</param>
    /// <exception cref="ArgumentException">It is no regular expression.</exception>
    public AnswerPattern(string pattern) => _regex = new Regex(Named.GetValueOrDefault(pattern, pattern),
        RegexOptions.CultureInvariant | RegexOptions.Multiline, Patience);

    /// <summary>Why a text is no pattern, or null.</summary>
    /// <param name="pattern">What the user typed.</param>
    public static string? Fault(string pattern)
    {
        try
        {
            _ = new AnswerPattern(pattern);
            return null;
        }
        catch (ArgumentException fault)
        {
            return fault.Message;
        }
    }

    /// <summary>What is compared of a text: the last match, numbers without commas and trailing zeros; null where there is none.</summary>
    /// <param name="text">An answer.</param>
    public string? Find(string text)
    {
        try
        {
            return _regex.Matches(text).LastOrDefault() is { } match ? Plain(match.Groups.Count > 1 ? match.Groups[1].Value : match.Value) : null;
        }
        catch (RegexMatchTimeoutException)
        {
            return null;
        }
    }

    private static string Plain(string found)
    {
        var bare = found.Trim().TrimStart('$').TrimEnd('.', '%').Replace(",", "", StringComparison.Ordinal);
        return Number().IsMatch(bare) && decimal.TryParse(bare, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? number.ToString("0.############################", CultureInfo.InvariantCulture) : found.Trim();
    }

    [GeneratedRegex(@"^[-+]?(\d+(\.\d+)?|\.\d+)\z")]
    private static partial Regex Number();
}
