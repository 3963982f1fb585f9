using System.Text.RegularExpressions;

namespace Trainer.Models.Lora;

/// <summary>Regular expressions that users and adapter files give for module paths.</summary>
public static class PathPattern
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    /// <summary>An expression for a whole path.</summary>
    /// <exception cref="AdapterOptionException">It is none.</exception>
    public static Regex OfWhole(string pattern, string option) => Make($"^(?:{pattern})$", pattern, option);

    /// <summary>An expression for the end of a path, PEFT's rule for rank_pattern and alpha_pattern.</summary>
    /// <exception cref="AdapterOptionException">It is none.</exception>
    public static Regex OfEnd(string pattern, string option) => Make($"^(?:.*\\.)?(?:{pattern})$", pattern, option);

    /// <summary>An expression of PEFT's rule that fits one path alone.</summary>
    public static string Exact(string path) => path.Replace(".", "\\.", StringComparison.Ordinal);

    /// <summary>Whether a path matches.</summary>
    /// <exception cref="AdapterOptionException">The expression needs too long to tell.</exception>
    public static bool Matches(Regex expression, string path)
    {
        try
        {
            return expression.IsMatch(path);
        }
        catch (RegexMatchTimeoutException fault)
        {
            throw new AdapterOptionException($"the regular expression '{fault.Pattern}' takes more than a second on '{path}'; write it without nested repeats",
                fault);
        }
    }

    /// <summary>The value of the first pattern that a path ends with, PEFT's rule for rank_pattern and alpha_pattern.</summary>
    /// <exception cref="AdapterOptionException">A pattern is no expression, or needs too long to tell.</exception>
    public static T ValueAt<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string path, T otherwise)
    {
        foreach (var (pattern, value) in patterns)
            if (Matches(OfEnd(pattern, "a pattern of rank or alpha"), path)) return value;
        return otherwise;
    }

    private static Regex Make(string whole, string pattern, string option)
    {
        try
        {
            return new Regex(whole, RegexOptions.CultureInvariant, Limit);
        }
        catch (ArgumentException fault)
        {
            throw new AdapterOptionException($"{option} '{pattern}' is not a regular expression: {fault.Message.TrimEnd('.')}", fault);
        }
    }
}
