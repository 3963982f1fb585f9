using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Trainer.Data.Storage;

/// <summary>Writes a <see cref="TokenCacheFile"/> example by example.</summary>
internal sealed class TokenCacheWriter : ITokenWriter
{
    private readonly string _path, _temporary;
    private readonly byte[] _key;
    private readonly FileStream _file;
    private readonly Spool<RowRecord> _records = new();
    private long _position = TokenCacheFile.HeaderBytes;
    private bool _finished;

    public TokenCacheWriter(string path, byte[] key)
    {
        (_path, _key) = (path, key);
        _temporary = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():N}.tmp";
        _file = new FileStream(_temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 20);
        _file.Write(new byte[TokenCacheFile.HeaderBytes]);
    }

    public int Count => checked((int)_records.Count);

    public void Write(int[] ids, int[] labels, RowRecord record)
    {
        _file.Write(MemoryMarshal.AsBytes(ids.AsSpan()));
        _file.Write(MemoryMarshal.AsBytes(labels.AsSpan()));
        _records.Add(record with { Position = _position });
        _position += 4L * (ids.Length + labels.Length);
    }

    public TokenStore Finish(DataStatistics statistics)
    {
        Number(_records.Count);
        foreach (var each in _records.Items())
        {
            var record = each;
            _file.Write(MemoryMarshal.AsBytes(MemoryMarshal.CreateReadOnlySpan(ref record, 1)));
        }
        var json = JsonSerializer.SerializeToUtf8Bytes(statistics);
        var padded = new byte[(json.Length + 7) / 8 * 8];
        padded.AsSpan().Fill((byte)' ');
        json.CopyTo(padded, 0);
        Number(padded.Length);
        _file.Write(padded);
        _file.Flush();
        var length = _file.Length;
        var header = new byte[TokenCacheFile.HeaderBytes];
        TokenCacheFile.Magic.CopyTo(header);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(8), _position);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), length);
        _key.CopyTo(header.AsSpan(24));
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(56), TokenCacheFile.ChecksumFrom(_file.SafeFileHandle, _position, length));
        _file.Position = 0;
        _file.Write(header);
        _file.Flush(flushToDisk: true);
        _file.Dispose();
        File.Move(_temporary, _path, overwrite: true);
        _finished = true;
        return TokenCacheFile.TryOpen(_path, _key, justWritten: true) is { } store
            ? store : throw new DataException($"token cache does not read back ({_path}): the disk did not keep what was written; check the disk");
    }

    public void Dispose()
    {
        _records.Dispose();
        if (_finished) return;
        try
        {
            _file.Dispose();
        }
        catch (Exception fault) when (fault is IOException or ArgumentOutOfRangeException)
        {
            // What the disk did not take is thrown away anyhow.
        }
        File.Delete(_temporary);
    }

    private void Number(long value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        _file.Write(bytes);
    }
}
