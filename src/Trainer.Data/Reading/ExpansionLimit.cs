namespace Trainer.Data.Reading;

/// <summary>
/// Passes decompressed bytes through and refuses a file that unfolds without measure: ten megabytes of gzip can hold ten gigabytes of blanks.
/// Text expands 3 to 20 times, the most repetitive tables some 60 times.
/// </summary>
/// <param name="inner">The decompressor.</param>
/// <param name="compressed">What it reads from; its position says how much was taken.</param>
/// <param name="path">For the message.</param>
internal sealed class ExpansionLimit(Stream inner, Stream compressed, string path) : Stream
{
    /// <summary>Decompressed bytes for each compressed one.</summary>
    public const int MostTimes = 200;

    /// <summary>Decompressed bytes that any file may have.</summary>
    public const long FreeBytes = 64L << 20;

    private long _read;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => _read; set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var count = inner.Read(buffer);
        _read += count;
        if (_read > FreeBytes && _read > MostTimes * compressed.Position)
            throw new DataException($"data file '{path}' expands to more than {MostTimes} times its size ({_read >> 20} MiB out "
                + $"of {compressed.Position >> 10} KiB): no data does; if it is meant, unpack it and name the unpacked file");
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
