using System.Buffers.Binary;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Cli.Reports.Wandb;

/// <summary>
/// W&amp;B's own log of a run (run-ID.wandb): a header, then Record messages in LevelDB's log framing, blocks of 32 KiB whose records carry a CRC-32 of
/// kind and data (wandb/sdk/internal/datastore.py). <c>wandb sync</c> sends such a file.
/// </summary>
internal sealed class WandbLog : IDisposable
{
    private const int Block = 32 * 1024;
    private const int Header = 7;

    private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(static value =>
        Enumerable.Range(0, 8).Aggregate((uint)value, static (crc, _) => (crc & 1) != 0 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1))];

    private readonly FileStream _file;
    private readonly string _path;
    private long _written;
    private long _records;

    /// <summary>Begins a file.</summary>
    /// <exception cref="CannotWriteException">It is there already, or cannot be written.</exception>
    public WandbLog(string path)
    {
        _path = path;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            _file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(path, fault);
        }
        Put([.. ":W&B"u8, 0xE1, 0xBE, 0]);
    }

    /// <summary>Adds a record and hands it to the system, so that a run that is killed loses none.</summary>
    /// <exception cref="CannotWriteException">Full disk, or a file larger than the system allows.</exception>
    public void Write(Action<ProtoMessage> fill)
    {
        var message = new ProtoMessage();
        message.Integer(1, ++_records);
        fill(message);
        var left = message.ToArray().AsSpan();
        for (var isFirst = true; isFirst || left.Length > 0; isFirst = false)
        {
            var room = Block - (int)(_written % Block);
            if (isFirst && room < Header)
            {
                Put(new byte[room]);
                room = Block;
            }
            var part = left[..Math.Min(left.Length, room - Header)];
            left = left[part.Length..];
            // Full, first, middle, last.
            Frame((byte)(isFirst ? left.Length == 0 ? 1 : 2 : left.Length == 0 ? 4 : 3), part);
        }
        Guarded(_file.Flush);
    }

    public void Dispose()
    {
        try
        {
            _file.Dispose();
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // Told by the write before; the log ends here.
        }
    }

    /// <summary>zlib's checksum of a kind and its data.</summary>
    internal static uint Crc(byte kind, ReadOnlySpan<byte> data)
    {
        var crc = Next(uint.MaxValue, kind);
        foreach (var value in data) crc = Next(crc, value);
        return ~crc;
    }

    private static uint Next(uint crc, byte value) => Table[(byte)(crc ^ value)] ^ (crc >> 8);

    private void Frame(byte kind, ReadOnlySpan<byte> data)
    {
        Span<byte> header = stackalloc byte[Header];
        BinaryPrimitives.WriteUInt32LittleEndian(header, Crc(kind, data));
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], (ushort)data.Length);
        header[6] = kind;
        Put([.. header, .. data]);
    }

    private void Put(byte[] bytes)
    {
        Guarded(() => _file.Write(bytes));
        _written += bytes.Length;
    }

    private void Guarded(Action act)
    {
        try
        {
            act();
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
    }
}
