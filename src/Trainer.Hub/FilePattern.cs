using System.Text.RegularExpressions;

namespace Trainer.Hub;

/// <summary>File names chosen by pattern, as --include takes them: * is anything, ? one character, [ab] one of several; a slash is no border.</summary>
public static class FilePattern
{
    // What a trainer reads. Pickles and the formats of other programs would only cost disk.
    private static readonly string[] Wanted = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.md", "LICENSE*"];

    // What a reader of data takes, and the card that says which file is what.
    private static readonly string[] WantedOfData =
        ["*.parquet", "*.json", "*.jsonl", "*.jsonlines", "*.ndjson", "*.csv", "*.tsv", "*.txt", "*.json.gz", "*.jsonl.gz", "*.csv.gz", "*.txt.gz", "*.json.zst", "*.jsonl.zst", "*.csv.zst", "README.md", "LICENSE*"];

    private static readonly string[] Unwanted = ["original/*", "consolidated*", "onnx/*", "openvino/*", "*/*.safetensors", "flax_*", "tf_*"];

    /// <summary>Whether a file is fetched.</summary>
    /// <param name="path">Path inside the repository.</param>
    /// <param name="includes">The user's patterns; empty for what a trainer reads.</param>
    /// <param name="kind">What the repository holds.</param>
    public static bool IsChosen(string path, IReadOnlyList<string> includes, HubKind kind = HubKind.Model)
    {
        ArgumentNullException.ThrowIfNull(includes);
        if (kind == HubKind.Dataset && includes.Count == 0) return WantedOfData.Any(pattern => Matches(path, pattern));
        return includes.Count > 0 ? includes.Any(pattern => Matches(path, pattern)) : Wanted.Any(pattern => Matches(path, pattern)) && !Unwanted.Any(pattern => Matches(path, pattern));
    }

    private static bool Matches(string path, string pattern)
    {
        string expression = Regex.Escape(pattern.EndsWith('/') ? pattern + "*" : pattern).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal)
            .Replace("\\[", "[", StringComparison.Ordinal);
        return Regex.IsMatch(path, "^" + expression + "\\z", RegexOptions.CultureInvariant | RegexOptions.Singleline, TimeSpan.FromSeconds(1));
    }
}
