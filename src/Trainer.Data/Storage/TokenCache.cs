using Trainer.Data.Rows;

namespace Trainer.Data.Storage;

/// <summary>
/// The folder of cache files, named by a digest of all that decides the tokens: the format's version, every file's path and bytes, its
/// column mapping, the tokenizer, the template and the options. A change of any of them is another name; nothing is ever stale.
/// </summary>
internal sealed class TokenCache(DataOptions options, TextTools tools)
{
    // Raise with any change of what rows become, or old caches would answer for new rules.
    private const string Version = "6";
    private static readonly TimeSpan AbandonedAfter = TimeSpan.FromDays(2);
    private static readonly TimeSpan UnusedAfter = TimeSpan.FromDays(30);

    public byte[] Key(InputGroup group, bool heldOut)
    {
        var parts = new List<string>
        {
            Version, heldOut ? "held out" : "trained", tools.Tokenizer.ContentHash, tools.Chat?.ContentHash ?? "", tools.Vocabulary?.ToString() ?? "",
            options.MaxSeqLength.ToString(), options.OnTooLong.ToString(), options.TrainOn.ToString(), options.OnBadRow.ToString(),
            options.DropEmpty.ToString(), options.AllowMissingEos.ToString(), options.TruncateAnswers.ToString(), options.Reasoning.ToString(),
            options.Purpose.ToString(),
            string.Join('\n', options.TemplateVariables.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => $"{each.Key}\t{each.Value}")),
            string.Join(',', options.AllowDropped),
        };
        for (var f = 0; f < group.Files.Count; f++)
        {
            parts.Add(group.Files[f].Path);
            parts.Add(group.Hashes[f]);
            parts.Add(group.Files[f].Rows is { } rows ? $"{rows.From}-{rows.To}" : "");
            var columns = group.Files[f].Columns ?? new Dictionary<string, string>();
            parts.Add(string.Join('\n', columns.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => $"{each.Key}\t{each.Value}")));
        }
        return InputHash.Join(parts);
    }

    public string PathOf(byte[] key) => Path.Combine(options.CacheDirectory!, Convert.ToHexStringLower(key)[..32] + ".tokens");

    /// <summary>The cache of a key, or null where it must be made; its age is counted from here.</summary>
    public TokenCacheFile? TryOpen(byte[] key)
    {
        if (TokenCacheFile.TryOpen(PathOf(key), key) is not { } store) return null;
        try
        {
            File.SetLastWriteTimeUtc(PathOf(key), DateTime.UtcNow);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // a cache that can be read alone is as good
        }
        return store;
    }

    /// <summary>Holds the right to make a file, or null where the folder knows no locks; waits while another process holds it.</summary>
    public FileStream? WaitForTurn(byte[] key, CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                Directory.CreateDirectory(options.CacheDirectory!);
                return new FileStream(PathOf(key) + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            }
            catch (IOException fault) when (fault.HResult is 11 or 35 || (fault.HResult & 0xFFFF) == 32)
            {
                if (cancellation.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(200))) cancellation.ThrowIfCancellationRequested();
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }

    /// <summary>A writer of the file, or null where the folder cannot be written: a cache is a convenience, never a reason to stop.</summary>
    public TokenCacheWriter? TryCreate(byte[] key)
    {
        try
        {
            Directory.CreateDirectory(options.CacheDirectory!);
            foreach (var file in Directory.EnumerateFiles(options.CacheDirectory!, "*.tokens*"))
            {
                // Of a process that was killed, or long not asked for. A run that still reads one keeps it until it ends.
                var age = DateTime.UtcNow - File.GetLastWriteTimeUtc(file);
                if (age > (file.EndsWith(".tokens", StringComparison.Ordinal) ? UnusedAfter : AbandonedAfter)) File.Delete(file);
            }
            return new TokenCacheWriter(PathOf(key), key);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
