using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Trainer.Data.Storage;

/// <summary>
/// A file of tokenized examples, read through a memory map. Little endian throughout:
/// <code>
///  0  "TRNTOKS1"                 8 bytes
///  8  offset of the index        int64
/// 16  length of the file         int64
/// 24  key                        32 bytes: what the tokens were made from (see TokenCache)
/// 56  checksum of the index      uint64 (Checksum over 32-bit words)
/// 64  tokens: of each row its n ids and then its n labels, int32
///     index: row count int64, then a column each of
///       position int64, line int64, checksum of the row uint64, length int32, trained int32, file int32, weight float32;
///     then the length of the statistics int64, and the statistics as UTF-8 JSON padded to 8 bytes with blanks
/// </code>
/// It is written under a temporary name and renamed when whole and on disk, so a name of ours never holds half a file.
/// </summary>
internal sealed class TokenCacheFile : TokenStore
{
    private const int HeaderBytes = 64;
    private static ReadOnlySpan<byte> Magic => "TRNTOKS1"u8;

    // Up to here every row is checked when the file is opened (a quarter of a second); beyond, each row when it is read.
    private const long CheckedWholeBytes = 256L << 20;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly string _path;

    private TokenCacheFile(string path, MemoryMappedFile file, MemoryMappedViewAccessor view, RowIndex index, DataStatistics statistics) : base(index, statistics)
    {
        (_path, _file, _view) = (path, file, view);
    }

    /// <summary>Opens a cache of this key, or answers null where there is none or it is damaged.</summary>
    public static TokenCacheFile? TryOpen(string path, byte[] key, bool justWritten = false)
    {
        if (!File.Exists(path)) return null;
        MemoryMappedFile? file = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            var length = new FileInfo(path).Length;
            if (length < HeaderBytes) return null;
            file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            view = file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            var header = new byte[HeaderBytes];
            view.ReadArray(0, header, 0, HeaderBytes);
            var indexAt = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(8));
            if (!header.AsSpan(0, 8).SequenceEqual(Magic) || BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(16)) != length
                || !header.AsSpan(24, 32).SequenceEqual(key) || indexAt < HeaderBytes || indexAt > length - 16 || (length - indexAt) % 8 != 0 || length - indexAt > int.MaxValue) return null;
            var bytes = new byte[length - indexAt];
            view.ReadArray(indexAt, bytes, 0, bytes.Length);
            if (Checksum.Add(0, MemoryMarshal.Cast<byte, int>(bytes)) != BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(56))) return null;
            var (index, statistics) = ReadIndex(bytes);
            var store = new TokenCacheFile(path, file, view, index, statistics with { FromCache = !justWritten });
            if (length <= CheckedWholeBytes && !store.IsWhole()) return null;
            (file, view) = (null, null);
            return store;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            return null;
        }
        finally
        {
            view?.Dispose();
            file?.Dispose();
        }
    }

    public override (int[] Ids, int[] Labels) Read(int row)
    {
        var (ids, labels) = Copy(row);
        return Checksum.Of(ids, labels) == Index.Check[row] ? (ids, labels)
            : throw new DataException($"token cache is damaged ({_path}, row {row + 1}): its checksum does not match; delete the file and start again");
    }

    public override void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
        base.Dispose();
    }

    private (int[] Ids, int[] Labels) Copy(int row)
    {
        var length = Index.Length[row];
        var (ids, labels) = (new int[length], new int[length]);
        _view.ReadArray(Index.Position[row], ids, 0, length);
        _view.ReadArray(Index.Position[row] + 4L * length, labels, 0, length);
        return (ids, labels);
    }

    private bool IsWhole()
    {
        for (var row = 0; row < Index.Count; row++)
        {
            var (ids, labels) = Copy(row);
            if (Checksum.Of(ids, labels) != Index.Check[row]) return false;
        }
        return true;
    }

    private static (RowIndex, DataStatistics) ReadIndex(ReadOnlySpan<byte> bytes)
    {
        var count = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        bytes = bytes[8..];
        var index = new RowIndex();
        Take(index.Position, ref bytes);
        Take(index.Line, ref bytes);
        Take(index.Check, ref bytes);
        Take(index.Length, ref bytes);
        Take(index.Trained, ref bytes);
        Take(index.File, ref bytes);
        Take(index.Weight, ref bytes);
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        return (index, JsonSerializer.Deserialize<DataStatistics>(bytes.Slice(8, length))!);

        void Take<T>(List<T> column, ref ReadOnlySpan<byte> from) where T : unmanaged
        {
            var size = count * Marshal.SizeOf<T>();
            column.AddRange(MemoryMarshal.Cast<byte, T>(from[..size]));
            from = from[size..];
        }
    }

    /// <summary>Writes a cache file row by row.</summary>
    internal sealed class Writer : ITokenWriter
    {
        private readonly string _path, _temporary;
        private readonly byte[] _key;
        private readonly FileStream _file;
        private long _position = HeaderBytes;
        private bool _finished;

        public Writer(string path, byte[] key)
        {
            (_path, _key) = (path, key);
            _temporary = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():N}.tmp";
            _file = new FileStream(_temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20);
            _file.Write(new byte[HeaderBytes]);
        }

        public long Write(int[] ids, int[] labels)
        {
            var at = _position;
            _file.Write(MemoryMarshal.AsBytes(ids.AsSpan()));
            _file.Write(MemoryMarshal.AsBytes(labels.AsSpan()));
            _position += 4L * (ids.Length + labels.Length);
            return at;
        }

        public TokenStore Finish(RowIndex index, DataStatistics statistics)
        {
            using (var bytes = new MemoryStream())
            {
                Span<byte> number = stackalloc byte[8];
                Number(bytes, number, index.Count);
                Put(bytes, index.Position);
                Put(bytes, index.Line);
                Put(bytes, index.Check);
                Put(bytes, index.Length);
                Put(bytes, index.Trained);
                Put(bytes, index.File);
                Put(bytes, index.Weight);
                var json = JsonSerializer.SerializeToUtf8Bytes(statistics);
                var padded = json.Length + (8 - (int)((bytes.Length + 8 + json.Length) % 8)) % 8;
                Number(bytes, number, padded);
                bytes.Write(json);
                for (var i = json.Length; i < padded; i++) bytes.WriteByte((byte)' ');
                _file.Write(bytes.GetBuffer(), 0, (int)bytes.Length);
                var header = new byte[HeaderBytes];
                Magic.CopyTo(header);
                BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(8), _position);
                BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), _position + bytes.Length);
                _key.CopyTo(header.AsSpan(24));
                BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(56), Checksum.Add(0, MemoryMarshal.Cast<byte, int>(bytes.GetBuffer().AsSpan(0, (int)bytes.Length))));
                _file.Position = 0;
                _file.Write(header);
            }
            _file.Flush(flushToDisk: true);
            _file.Dispose();
            File.Move(_temporary, _path, overwrite: true);
            _finished = true;
            return TryOpen(_path, _key, justWritten: true) is { } store ? store : throw new DataException($"token cache does not read back ({_path}): the disk did not keep what was written; check the disk");
        }

        public void Dispose()
        {
            _file.Dispose();
            if (!_finished) File.Delete(_temporary);
        }

        private static void Number(MemoryStream to, Span<byte> buffer, long value)
        {
            BinaryPrimitives.WriteInt64LittleEndian(buffer, value);
            to.Write(buffer);
        }

        private static void Put<T>(MemoryStream to, List<T> column) where T : unmanaged => to.Write(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(column)));
    }
}
