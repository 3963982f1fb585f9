using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Hub;

/// <summary>File names chosen by pattern, as --include takes them: * is anything, ? one character, [ab] one of several; a slash is no border.</summary>
public static class FilePattern
{
    // What a trainer reads. Pickles and the formats of other programs would only cost disk.
    private static readonly string[] Wanted = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.md", "LICENSE*"];

    // What a reader of data takes, and the card that says which file is what.
    private static readonly string[] WantedOfData =
        ["*.parquet", "*.json", "*.jsonl", "*.jsonlines", "*.ndjson", "*.csv", "*.tsv", "*.txt", "*.json.gz", "*.jsonl.gz", "*.csv.gz", "*.txt.gz",
        "*.json.zst", "*.jsonl.zst", "*.csv.zst", "README.md", "LICENSE*"];

    private static readonly string[] Unwanted = ["original/*", "consolidated*", "onnx/*", "openvino/*", "*/*.safetensors", "flax_*", "tf_*"];

    /// <summary>Whether a file is fetched.</summary>
    /// <param name="path">Path inside the repository.</param>
    /// <param name="includes">The user's patterns; empty for what a trainer reads.</param>
    /// <param name="kind">What the repository holds.</param>
    public static bool IsChosen(string path, IReadOnlyList<string> includes, HubKind kind = HubKind.Model)
    {
        ArgumentNullException.ThrowIfNull(includes);
        if (kind == HubKind.Dataset && includes.Count == 0) return WantedOfData.Any(pattern => Matches(path, pattern));
        return includes.Count > 0 ? includes.Any(pattern => Matches(path, pattern))
            : Wanted.Any(pattern => Matches(path, pattern)) && !Unwanted.Any(pattern => Matches(path, pattern));
    }

    private static bool Matches(string path, string pattern)
    {
        var whole = pattern.EndsWith('/') ? pattern + "*" : pattern;
        try
        {
            // Without backtracking: the time grows with the length of the path alone.
            return Regex.IsMatch(path, "^" + Expression(whole) + "\\z", RegexOptions.CultureInvariant | RegexOptions.Singleline | RegexOptions.NonBacktracking);
        }
        catch (ArgumentException)
        {
            // A range that runs backwards holds no character.
            return false;
        }
    }

    private static string Expression(string pattern)
    {
        var expression = new StringBuilder();
        for (var i = 0; i < pattern.Length; i++)
        {
            // As in a shell: a closing bracket that comes first is one of the characters, and an opening one that nothing closes is itself.
            var first = i + 1 < pattern.Length && pattern[i + 1] == '!' ? i + 2 : i + 1;
            var close = pattern[i] == '[' && first < pattern.Length ? pattern.IndexOf(']', first + 1 < pattern.Length ? first + 1 : first) : -1;
            if (close > 0)
            {
                var members = pattern[first..close].Replace("\\", "\\\\", StringComparison.Ordinal).Replace("[", "\\[", StringComparison.Ordinal)
                    .Replace("]", "\\]", StringComparison.Ordinal).Replace("^", "\\^", StringComparison.Ordinal);
                expression.Append('[').Append(first == i + 2 ? "^" : "").Append(members).Append(']');
                i = close;
            }
            else
                expression.Append(pattern[i] switch { '*' => ".*", '?' => ".", _ => Regex.Escape(pattern[i].ToString()) });
        }
        return expression.ToString();
    }
}
