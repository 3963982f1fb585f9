using System.Security.Cryptography;

namespace Trainer.Checkpoints;

/// <summary>SHA-256 of files, as lower-case hexadecimal.</summary>
public static class FileDigest
{
    /// <summary>The digest of a whole file, read in parts.</summary>
    public static string Sha256(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
