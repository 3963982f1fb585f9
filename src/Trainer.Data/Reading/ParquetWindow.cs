namespace Trainer.Data.Reading;

/// <summary>
/// The bytes of a parquet file as the library is to see them: all of them, or a dictionary page with some data pages right behind it, so that a
/// column can be read a few pages at a time. Closing it leaves the file open.
/// </summary>
/// <param name="file">The open file.</param>
internal sealed class ParquetWindow(Stream file) : Stream
{
    /// <summary>Where a window begins; the library takes an offset of 0 for none.</summary>
    public const long Begin = 4;

    private (long From, long Length)[] _parts = [(0, file.Length)];
    private long _begin;
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => _begin + _parts.Sum(part => part.Length);

    public override long Position { get => _position; set => _position = value; }

    /// <summary>Shows these ranges of the file, one behind the other.</summary>
    public void Show(params (long From, long Length)[] parts) => (_parts, _begin, _position) = (parts, Begin, Begin);

    /// <summary>Bytes of the file itself, as many as there are.</summary>
    public byte[] Bytes(long from, int most)
    {
        var bytes = new byte[Math.Max(0, Math.Min(most, file.Length - from))];
        file.Position = from;
        file.ReadExactly(bytes);
        return bytes;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var at = _position - _begin;
        foreach (var (from, length) in _parts)
        {
            if (at >= length)
            {
                at -= length;
                continue;
            }
            file.Position = from + at;
            var n = file.Read(buffer[..(int)Math.Min(buffer.Length, length - at)]);
            _position += n;
            return n;
        }
        return 0;
    }

    public override long Seek(long offset, SeekOrigin origin) =>
        _position = origin switch { SeekOrigin.Begin => offset, SeekOrigin.Current => _position + offset, _ => Length + offset };

    public override void Flush() { }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
