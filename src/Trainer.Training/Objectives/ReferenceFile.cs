using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Training.Objectives;

/// <summary>Token losses on disk: the key (32 bytes), the values (float32, little-endian) and the SHA-256 of both. A cache is a convenience: whatever is wrong
/// with one, it is made again.</summary>
internal static class ReferenceFile
{
    private const int HashBytes = SHA256.HashSizeInBytes;

    /// <summary>The values, or null where there is no whole file of this key.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">What they were computed from.</param>
    /// <param name="count">How many there must be.</param>
    public static float[]? TryRead(string path, byte[] key, int count)
    {
        try
        {
            if (!File.Exists(path) || new FileInfo(path).Length != 2 * HashBytes + (long)count * sizeof(float)) return null;
            using var file = File.OpenRead(path);
            var (head, values, tail) = (new byte[HashBytes], new float[count], new byte[HashBytes]);
            file.ReadExactly(head);
            file.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
            file.ReadExactly(tail);
            if (!head.AsSpan().SequenceEqual(key) || !tail.AsSpan().SequenceEqual(Digest(key, values))) return null;
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return values;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Writes the values, or says why they cannot be written.</summary>
    public static string? TryWrite(string path, byte[] key, float[] values)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            AtomicFile.Write(path, temporary =>
            {
                using var file = File.Create(temporary);
                file.Write(key);
                file.Write(MemoryMarshal.AsBytes(values.AsSpan()));
                file.Write(Digest(key, values));
            });
            return null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or CannotWriteException)
        {
            return fault.Message;
        }
    }

    private static byte[] Digest(byte[] key, float[] values)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(key);
        hash.AppendData(MemoryMarshal.AsBytes(values.AsSpan()));
        return hash.GetHashAndReset();
    }
}
