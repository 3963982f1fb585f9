using System.Buffers;
using System.Collections;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Parquet;
using Parquet.Serialization;

namespace Trainer.Data.Reading;

/// <summary>Rows of a .parquet file, a row group at a time; lists and structs become JSON lists and objects. "Lines" are row numbers.</summary>
internal static class ParquetRowReader
{
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Rows of a file, as its footer says.</summary>
    public static long Count(Stream stream, string file) => Guarded(() =>
    {
        using var copy = new NonClosing(stream);
        var reader = ParquetReader.CreateAsync(copy, leaveStreamOpen: true).GetAwaiter().GetResult();
        return reader.Metadata?.NumRows ?? 0;
    }, file, 1);

    public static IEnumerable<RawRow> Read(Stream stream, string file, Limits limits)
    {
        if (stream.CanSeek && ParquetBounds.Fault(stream) is { } why) throw new DataException($"cannot read parquet file ({file}:1): {why}; check that it is whole");
        var groups = Guarded(() =>
        {
            stream.Position = 0;
            using var copy = new NonClosing(stream);
            var reader = ParquetReader.CreateAsync(copy, leaveStreamOpen: true).GetAwaiter().GetResult();
            return reader.RowGroupCount;
        }, file, 1);
        long row = 0;
        var bytes = new ArrayBufferWriter<byte>();
        for (var g = 0; g < groups; g++)
        {
            var group = Guarded(() =>
            {
                stream.Position = 0;
                using var copy = new NonClosing(stream);
                var rows = ParquetSerializer.DeserializeUntypedAsync(copy, null, g).GetAwaiter().GetResult().Data;
                stream.Position = 0;
                EmptyLists.Restore(ParquetReader.CreateAsync(copy, leaveStreamOpen: true).GetAwaiter().GetResult(), g, [.. rows]);
                return rows;
            }, file, row + 1);
            foreach (var values in group)
            {
                row++;
                bytes.ResetWrittenCount();
                using (var writer = new Utf8JsonWriter(bytes, Relaxed)) Write(writer, values);
                yield return bytes.WrittenCount > limits.RowBytes
                    ? JsonLinesReader.TooLong(file, row, bytes.WrittenCount, limits)
                    : new RawRow(new RowSource(file, row)) { Json = bytes.WrittenMemory.ToArray() };
            }
        }
    }

    private static void Write(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                break;
            case string text:
                writer.WriteStringValue(text);
                break;
            case ReadOnlyMemory<char> text:
                writer.WriteStringValue(text.Span);
                break;
            case bool truth:
                writer.WriteBooleanValue(truth);
                break;
            case sbyte or byte or short or ushort or int or uint or long or ulong or decimal:
                writer.WriteRawValue(Convert.ToString(value, CultureInfo.InvariantCulture)!);
                break;
            case float number when float.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case byte[] raw:
                Text(writer, raw);
                break;
            case ReadOnlyMemory<byte> raw:
                Text(writer, raw.ToArray());
                break;
            case IDictionary map:
                writer.WriteStartObject();
                foreach (DictionaryEntry entry in map)
                {
                    writer.WritePropertyName(Convert.ToString(entry.Key, CultureInfo.InvariantCulture)!);
                    Write(writer, entry.Value);
                }
                writer.WriteEndObject();
                break;
            case IEnumerable list:
                writer.WriteStartArray();
                foreach (var item in list) Write(writer, item);
                writer.WriteEndArray();
                break;
            default:
                writer.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }

    /// <summary>Binary columns are strings where their writer left the annotation out; other bytes become an object, which no column of ours takes.</summary>
    private static void Text(Utf8JsonWriter writer, byte[] raw)
    {
        if (System.Text.Unicode.Utf8.IsValid(raw)) writer.WriteStringValue(Encoding.UTF8.GetString(raw));
        else
        {
            writer.WriteStartObject();
            writer.WriteNumber("bytes", raw.Length);
            writer.WriteEndObject();
        }
    }

    private static T Guarded<T>(Func<T> read, string file, long row)
    {
        try
        {
            return read();
        }
        // A damaged file makes the library fail in many ways; each of them is a bad file.
        catch (Exception fault) when (fault is not (DataException or OutOfMemoryException))
        {
            throw new DataException($"cannot read parquet file ({file}:{row}): {fault.Message.TrimEnd('.').ReplaceLineEndings(" ")}; check that it is whole, and that its columns are strings, numbers, lists or structs of these", fault);
        }
    }

    /// <summary>The library closes what it reads; this file is read again for the next row group.</summary>
    private sealed class NonClosing(Stream inner) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => true;
        public override bool CanWrite => false;
        public override long Length => inner.Length;
        public override long Position { get => inner.Position; set => inner.Position = value; }
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);
        public override int Read(Span<byte> buffer) => inner.Read(buffer);
        public override long Seek(long offset, SeekOrigin origin) => inner.Seek(offset, origin);
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
