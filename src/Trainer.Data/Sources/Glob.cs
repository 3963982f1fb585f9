using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Data.Sources;

/// <summary>Patterns of paths: <c>*</c> and <c>?</c> stay within a folder, <c>**</c> does not, <c>[0-9]</c> is one of several.</summary>
internal static class Glob
{
    /// <summary>Whether a path with forward slashes matches. The time is linear in its length, whatever the pattern.</summary>
    public static bool Matches(string pattern, string path)
    {
        var text = new StringBuilder("^");
        for (var i = 0; i < pattern.Length; i++)
        {
            switch (pattern[i])
            {
                case '*' when i + 1 < pattern.Length && pattern[i + 1] == '*':
                    i++;
                    if (i + 1 < pattern.Length && pattern[i + 1] == '/')
                    {
                        i++;
                        text.Append("(.*/)?");
                    }
                    else text.Append(".*");
                    break;
                case '*': text.Append("[^/]*"); break;
                case '?': text.Append("[^/]"); break;
                case '[' when pattern.IndexOf(']', i + 2) is var end and > 0:
                    var set = pattern[(i + 1)..end];
                    var not = set[0] is '!' or '^';
                    text.Append(not ? "[^" : "[").Append((not ? set[1..] : set).Replace("\\", "\\\\", StringComparison.Ordinal)
                        .Replace("[", "\\[", StringComparison.Ordinal).Replace("^", "\\^", StringComparison.Ordinal)).Append(']');
                    i = end;
                    break;
                default: text.Append(Regex.Escape(pattern[i].ToString())); break;
            }
        }
        try
        {
            return Regex.IsMatch(path, text.Append("\\z").ToString(), RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (ArgumentException)
        {
            return pattern == path; // such as [z-a]: no set of letters, so it can only be the name itself
        }
    }
}
