using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Trainer.Data.Storage;

/// <summary>
/// A file of tokenized examples. Little endian throughout:
/// <code>
///  0  "TRNTOKS2"                 8 bytes
///  8  offset of the index        int64
/// 16  length of the file         int64
/// 24  key                        32 bytes: what the tokens were made from (see TokenCache)
/// 56  checksum of the index      uint64 (Checksum over 32-bit words)
/// 64  tokens: of each example its n ids and then its n labels, int32
///     index: number of examples int64, then a RowRecord of 40 bytes each;
///     then the length of the statistics int64, and the statistics as UTF-8 JSON padded to 8 bytes with blanks
/// </code>
/// It is written under a temporary name and renamed when whole and on disk, so a name of ours never holds half a file. It is read at the places
/// that are asked for and not mapped, so what was read does not stay in the process's memory.
/// </summary>
internal sealed class TokenCacheFile : TokenStore
{
    internal const int HeaderBytes = 64;
    internal const int RecordBytes = 40;
    private const int BlockRecords = 1 << 13;

    // Up to here every example is checked when the file is opened (a quarter of a second); beyond, each when it is read.
    private const long CheckedWholeBytes = 256L << 20;

    private readonly SafeFileHandle _file;
    private readonly string _path;
    private readonly long _recordsAt;

    private TokenCacheFile(string path, SafeFileHandle file, long recordsAt, int count, DataStatistics statistics) : base(count, statistics)
    {
        (_path, _file, _recordsAt) = (path, file, recordsAt);
    }

    internal static ReadOnlySpan<byte> Magic => "TRNTOKS2"u8;

    /// <summary>Opens a cache of this key, or answers null where there is none or it is damaged.</summary>
    public static TokenCacheFile? TryOpen(string path, byte[] key, bool justWritten = false)
    {
        if (!File.Exists(path)) return null;
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, FileOptions.RandomAccess);
            var length = RandomAccess.GetLength(file);
            Span<byte> header = stackalloc byte[HeaderBytes];
            if (RandomAccess.Read(file, header, 0) != HeaderBytes) return null;
            var indexAt = BinaryPrimitives.ReadInt64LittleEndian(header[8..]);
            if (!header[..8].SequenceEqual(Magic) || BinaryPrimitives.ReadInt64LittleEndian(header[16..]) != length
                || !header.Slice(24, 32).SequenceEqual(key) || indexAt < HeaderBytes || indexAt > length - 16 || (length - indexAt) % 8 != 0) return null;
            if (ChecksumFrom(file, indexAt, length) != BinaryPrimitives.ReadUInt64LittleEndian(header[56..])) return null;
            var count = Number(file, indexAt);
            var statisticsAt = indexAt + 8 + count * RecordBytes;
            var json = new byte[Number(file, statisticsAt)];
            if (RandomAccess.Read(file, json, statisticsAt + 8) != json.Length) return null;
            var store = new TokenCacheFile(path, file, indexAt + 8, checked((int)count),
                JsonSerializer.Deserialize<DataStatistics>(json)! with { FromCache = !justWritten });
            if (length <= CheckedWholeBytes && !store.IsWhole()) return null;
            file = null;
            return store;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException or ArgumentException or OverflowException)
        {
            return null;
        }
        finally
        {
            file?.Dispose();
        }
    }

    public override RowRecord Record(int row)
    {
        var record = default(RowRecord);
        RandomAccess.Read(_file, MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref record, 1)), _recordsAt + (long)row * RecordBytes);
        return record;
    }

    public override IEnumerable<RowRecord> Records()
    {
        var block = new RowRecord[Math.Min(BlockRecords, Math.Max(1, Count))];
        for (var at = 0; at < Count; at += block.Length)
        {
            var n = Math.Min(block.Length, Count - at);
            RandomAccess.Read(_file, MemoryMarshal.AsBytes(block.AsSpan(0, n)), _recordsAt + (long)at * RecordBytes);
            for (var i = 0; i < n; i++) yield return block[i];
        }
    }

    public override (int[] Ids, int[] Labels) Read(RowRecord record) =>
        Copy(record) is { } tokens && Checksum.Of(tokens.Ids, tokens.Labels) == record.Check ? tokens
            : throw new DataException($"token cache is damaged ({_path}, tokens at {record.Position}): its checksum does not match; delete the file and start "
                + "again");

    public override void Dispose()
    {
        _file.Dispose();
        base.Dispose();
    }

    private (int[] Ids, int[] Labels)? Copy(RowRecord record)
    {
        if (record.Position < HeaderBytes || record.Length < 0 || record.Position + 8L * record.Length > _recordsAt) return null;
        var (ids, labels) = (new int[record.Length], new int[record.Length]);
        RandomAccess.Read(_file, MemoryMarshal.AsBytes(ids.AsSpan()), record.Position);
        RandomAccess.Read(_file, MemoryMarshal.AsBytes(labels.AsSpan()), record.Position + 4L * record.Length);
        return (ids, labels);
    }

    private bool IsWhole()
    {
        using var stream = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 20,
            FileOptions.SequentialScan) { Position = HeaderBytes };
        var tokens = new int[1024];
        foreach (var record in Records())
        {
            // Examples lie one behind the other, so they are read in one go.
            if (record.Position != stream.Position || record.Length < 0 || record.Position + 8L * record.Length > _recordsAt) return false;
            if (tokens.Length < 2 * record.Length) tokens = new int[4 * record.Length];
            var (ids, labels) = (tokens.AsMemory(0, record.Length), tokens.AsMemory(record.Length, record.Length));
            stream.ReadExactly(MemoryMarshal.AsBytes(tokens.AsSpan(0, 2 * record.Length)));
            if (Checksum.Of(ids.Span, labels.Span) != record.Check) return false;
        }
        return true;
    }

    private static long Number(SafeFileHandle file, long at)
    {
        long number = 0;
        RandomAccess.Read(file, MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref number, 1)), at);
        return number;
    }

    /// <summary>Checksum of a file's bytes from one place to another, a multiple of 8 apart.</summary>
    internal static ulong ChecksumFrom(SafeFileHandle file, long from, long to)
    {
        var block = new byte[1 << 18];
        var state = 0ul;
        while (from < to)
        {
            var n = RandomAccess.Read(file, block.AsSpan(0, (int)Math.Min(block.Length, to - from)), from);
            n -= n % 8;
            if (n == 0) return ~state;
            state = Checksum.Add(state, MemoryMarshal.Cast<byte, int>(block.AsSpan(0, n)));
            from += n;
        }
        return state;
    }
}
