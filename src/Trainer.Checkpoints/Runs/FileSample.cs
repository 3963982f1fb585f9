using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Checkpoints.Runs;

/// <summary>
/// Tells a file from another one of the same name without reading all of it: its length, its time, and a SHA-256 of its head and of a few blocks of each of
/// its parts. A copy that keeps times (cp -p, rsync -a, an archive) may have other content at the same length and time; training changes every block
/// of what it trains, so the blocks tell them apart. A change of single bytes between two blocks, with length and time kept, is not seen.
/// </summary>
public static class FileSample
{
    // Blocks of a part: its first and last one, and those that cut what is between into equal lengths. A file of very many parts has one block of each.
    private const int BlockBytes = 4096, BlocksOfPart = 4, ManyParts = 2048;

    // Of a file whose parts are not known.
    private const int HeadBytes = 1 << 20, EqualParts = 256;

    /// <summary>A line of text that two files share only if they are taken for the same.</summary>
    /// <param name="path">The file.</param>
    /// <param name="headBytes">Bytes at its begin that are read whole.</param>
    /// <param name="parts">Offset and length in bytes of each of its parts; one of a few blocks or less is read whole.</param>
    /// <exception cref="BadFileException">It cannot be read, or ends before a part does.</exception>
    public static string Of(string path, long headBytes, IReadOnlyList<(long Begin, long Bytes)> parts) => Of(path, _ => (headBytes, parts));

    /// <summary>The same of a file whose parts are not known: it is cut into equal ones.</summary>
    /// <exception cref="BadFileException">It cannot be read.</exception>
    public static string Of(string path) => Of(path, static length =>
        (Math.Min(length, HeadBytes), [.. Enumerable.Range(0, EqualParts).Select(part => (length / EqualParts * part, length / EqualParts))]));

    private static string Of(string path, Func<long, (long Head, IReadOnlyList<(long Begin, long Bytes)> Parts)> cut)
    {
        RegularFile.Require(path);
        try
        {
            using var file = File.OpenHandle(path, options: FileOptions.RandomAccess);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var length = RandomAccess.GetLength(file);
            var (head, parts) = cut(length);
            Add(hash, file, path, 0, head);
            var blocks = parts.Count > ManyParts ? 1 : BlocksOfPart;
            foreach (var (begin, bytes) in parts)
            {
                if (bytes <= blocks * BlockBytes) Add(hash, file, path, begin, bytes);
                else for (var block = 0; block < blocks; block++)
                    Add(hash, file, path, begin + (bytes - BlockBytes) / Math.Max(1, blocks - 1) * block, BlockBytes);
            }
            return string.Create(CultureInfo.InvariantCulture,
                $"{Path.GetFileName(path)}:{length}:{File.GetLastWriteTimeUtc(file).Ticks}:{Convert.ToHexStringLower(hash.GetHashAndReset())}");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new BadFileException($"cannot read '{path}': {fault.Message.TrimEnd('.')}; check the path", fault);
        }
    }

    private static void Add(IncrementalHash hash, SafeFileHandle file, string path, long begin, long bytes)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        for (var end = begin + bytes; begin < end;)
        {
            var count = RandomAccess.Read(file, block[..(int)Math.Min(BlockBytes, end - begin)], begin);
            if (count == 0) throw new BadFileException($"'{path}' ends early; the file was cut off, copy or download it again");
            hash.AppendData(block[..count]);
            begin += count;
        }
    }
}
