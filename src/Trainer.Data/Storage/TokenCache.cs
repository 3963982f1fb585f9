using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>
/// The folder of cache files, named by a digest of all that decides the tokens: the format's version, every file's path and bytes, its
/// column mapping, the tokenizer, the template and the options. A change of any of them is another name; nothing is ever stale.
/// </summary>
internal sealed class TokenCache(DataOptions options, TextTools tools)
{
    // Raise with any change of what rows become, or old caches would answer for new rules.
    private const string Version = "3";
    private static readonly TimeSpan AbandonedAfter = TimeSpan.FromDays(2);

    public byte[] Key(InputGroup group, bool heldOut)
    {
        var parts = new List<string>
        {
            Version, heldOut ? "held out" : "trained", tools.Tokenizer.ContentHash, tools.Chat?.ContentHash ?? "", tools.Vocabulary?.ToString() ?? "",
            options.MaxSeqLength.ToString(), options.OnTooLong.ToString(), options.TrainOn.ToString(), options.OnBadRow.ToString(),
            options.DropEmpty.ToString(), options.AllowMissingEos.ToString(), options.TruncateAnswers.ToString(), options.Reasoning.ToString(), options.Purpose.ToString(),
            string.Join('\n', options.TemplateVariables.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => $"{each.Key}\t{each.Value}")), string.Join(',', options.AllowDropped),
        };
        for (var f = 0; f < group.Files.Count; f++)
        {
            parts.Add(group.Files[f].Path);
            parts.Add(group.Hashes[f]);
            var columns = group.Files[f].Columns ?? new Dictionary<string, string>();
            parts.Add(string.Join('\n', columns.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => $"{each.Key}\t{each.Value}")));
        }
        return InputHash.Join(parts);
    }

    public string PathOf(byte[] key) => Path.Combine(options.CacheDirectory!, Convert.ToHexStringLower(key)[..32] + ".tokens");

    /// <summary>A writer of the file, or null where the folder cannot be written: a cache is a convenience, never a reason to stop.</summary>
    public TokenCacheFile.Writer? TryCreate(byte[] key)
    {
        try
        {
            Directory.CreateDirectory(options.CacheDirectory!);
            foreach (var left in Directory.EnumerateFiles(options.CacheDirectory!, "*.tokens.*.tmp"))
                if (DateTime.UtcNow - File.GetLastWriteTimeUtc(left) > AbandonedAfter) File.Delete(left); // of a process that was killed
            return new TokenCacheFile.Writer(PathOf(key), key);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
