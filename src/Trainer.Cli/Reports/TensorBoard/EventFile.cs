using System.Buffers.Binary;
using System.Numerics;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;

namespace Trainer.Cli.Reports.TensorBoard;

/// <summary>
/// A TensorBoard event file: TFRecord frames (length, masked CRC-32C of the length, data, masked CRC-32C of the data), each an Event message.
/// </summary>
internal sealed class EventFile : IDisposable
{
    private readonly FileStream _file;
    private readonly string _path;
    private readonly TimeProvider _time;

    public EventFile(string directory, TimeProvider time)
    {
        _time = time;
        Directory.CreateDirectory(directory);
        var name = $"events.out.tfevents.{time.GetUtcNow().ToUnixTimeSeconds()}.{Environment.MachineName}.{Environment.ProcessId}.0";
        _path = Path.Combine(directory, name);
        _file = new FileStream(_path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite);
        Write(0, message => message.Text(3, "brain.Event:2"));
    }

    /// <summary>Tells the reader to forget what an earlier, cut-off part of the run wrote at this step and beyond.</summary>
    public void Restart(int step) => Write(step, message => message.Message(7, log => log.Integer(1, 1)));

    public void Scalar(int step, params ReadOnlySpan<(string Tag, double Value)> values)
    {
        var copy = values.ToArray();
        Write(step, message => message.Message(5, summary =>
        {
            foreach (var (tag, value) in copy)
                summary.Message(1, entry =>
                {
                    entry.Text(1, tag);
                    entry.Float(2, (float)value);
                });
        }));
    }

    /// <summary>Text for the text tab (Markdown).</summary>
    public void Note(int step, string tag, string text) => Write(step, message => message.Message(5, summary => summary.Message(1, entry =>
    {
        entry.Text(1, tag);
        entry.Message(8, tensor =>
        {
            tensor.Integer(1, 7);
            tensor.Message(2, shape => shape.Message(2, dimension => dimension.Integer(1, 1)));
            tensor.Text(8, text);
        });
        entry.Message(9, metadata => metadata.Message(1, plugin => plugin.Text(1, "text")));
    })));

    /// <exception cref="CannotWriteException">Full disk, or a file larger than the system allows.</exception>
    public void Flush()
    {
        try
        {
            _file.Flush();
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
    }

    public void Dispose()
    {
        try
        {
            _file.Dispose();
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            // Told by Flush; the curve ends here.
        }
    }

    private void Write(int step, Action<ProtoMessage> fill)
    {
        var message = new ProtoMessage();
        message.Double(1, _time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0);
        if (step != 0) message.Integer(2, step);
        fill(message);
        var data = message.ToArray();
        Span<byte> header = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], MaskedCrc(header[..8]));
        Span<byte> footer = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(footer, MaskedCrc(data));
        try
        {
            _file.Write([.. header, .. data, .. footer]);
        }
        catch (Exception fault) when (WriteFault.Covers(fault))
        {
            throw WriteFault.Of(_path, fault);
        }
    }

    /// <summary>TensorFlow rotates the checksum and adds a constant, so that a checksum of data holding checksums stays strong.</summary>
    internal static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data) crc = BitOperations.Crc32C(crc, value);
        crc = ~crc;
        return BitOperations.RotateRight(crc, 15) + 0xa282ead8u;
    }
}
