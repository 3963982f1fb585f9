using System.Text;
using System.Text.Unicode;

namespace Trainer.Data.Reading;

/// <summary>Passes bytes through and refuses what is not UTF-8, naming line and column (text decoders would only put U+FFFD there).</summary>
internal sealed class Utf8CheckingStream(Stream inner, string file) : Stream
{
    private readonly byte[] _carry = new byte[4]; // an unfinished character at the end of the last read
    private int _carried;
    private long _line = 1, _column;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var n = inner.Read(buffer);
        if (n == 0)
        {
            if (_carried > 0) throw Invalid();
            return 0;
        }
        Check(buffer[..n]);
        return n;
    }

    private void Check(ReadOnlySpan<byte> bytes)
    {
        var joined = bytes;
        if (_carried > 0)
        {
            var both = new byte[_carried + bytes.Length];
            _carry.AsSpan(0, _carried).CopyTo(both);
            bytes.CopyTo(both.AsSpan(_carried));
            joined = both;
        }
        _carried = Unfinished(joined);
        var whole = joined[..^_carried];
        if (!Utf8.IsValid(whole))
        {
            while (Rune.DecodeFromUtf8(whole, out _, out var used) == System.Buffers.OperationStatus.Done)
            {
                Count(whole[..used]);
                whole = whole[used..];
            }
            throw Invalid();
        }
        Count(whole);
        joined[^_carried..].CopyTo(_carry);
    }

    /// <summary>How many bytes at the end begin a character that is not complete yet.</summary>
    private static int Unfinished(ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back <= Math.Min(3, bytes.Length); back++)
        {
            var lead = bytes[^back];
            if (lead < 0x80) return 0;
            if (lead < 0xC0) continue;
            return Rune.DecodeFromUtf8(bytes[^back..], out _, out _) == System.Buffers.OperationStatus.NeedMoreData ? back : 0;
        }
        return 0;
    }

    private void Count(ReadOnlySpan<byte> bytes)
    {
        var last = bytes.LastIndexOf((byte)'\n');
        if (last < 0)
        {
            _column += bytes.Length;
            return;
        }
        _line += bytes.Count((byte)'\n');
        _column = bytes.Length - last - 1;
    }

    private DataException Invalid() =>
        new($"data file is not valid UTF-8 ({file}:{_line}, column {_column + 1}): a byte sequence there is no character; save the file as UTF-8");
}
