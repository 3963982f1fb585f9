using System.Security.Cryptography;

namespace Trainer.Checkpoints.Runs;

/// <summary>SHA-256 of files, as lower-case hexadecimal.</summary>
public static class FileDigest
{
    private const int PartBytes = 1 << 20;

    /// <summary>The digest of a whole file, read in parts.</summary>
    /// <param name="path">The file.</param>
    /// <param name="read">Told after each part how many bytes it had; null for none.</param>
    /// <param name="stop">Looked at before each part.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static string Sha256(string path, Action<int>? read = null, CancellationToken stop = default)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var part = new byte[PartBytes];
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            var count = stream.Read(part);
            if (count == 0) return Convert.ToHexStringLower(hash.GetHashAndReset());
            hash.AppendData(part, 0, count);
            read?.Invoke(count);
        }
    }
}
