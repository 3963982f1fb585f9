using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Parquet;

namespace Trainer.Data.Reading;

/// <summary>Rows of a .parquet file, a few pages of each column in memory at a time; lists and structs become JSON lists and objects. "Lines" are row
/// numbers.</summary>
internal static class ParquetRowReader
{
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Rows of a file, as its footer says.</summary>
    public static long Count(Stream stream, string file) => Footer(stream, file, reader => reader.Metadata?.NumRows ?? 0);

    /// <summary>Something of a file's footer, which is looked at before it is believed.</summary>
    /// <exception cref="DataException">It is no parquet file, or damaged.</exception>
    public static T Footer<T>(Stream stream, string file, Func<ParquetReader, T> read)
    {
        if (stream.CanSeek && ParquetBounds.Fault(stream) is { } why)
            throw new DataException($"cannot read parquet file ({file}:1): {why}; check that it is whole");
        return Guarded(() => read(Open(new ParquetWindow(stream))), file, 1);
    }

    public static IEnumerable<RawRow> Read(Stream stream, string file, Limits limits)
    {
        var groups = Footer(stream, file, reader => reader.RowGroupCount);
        long row = 0;
        var bytes = new ArrayBufferWriter<byte>();
        for (var g = 0; g < groups; g++)
        {
            // A reader of its own for each: what is read of a group changes its part of the footer.
            var window = new ParquetWindow(stream);
            using var group = Guarded(() => new ParquetRecords(Open(window), g, window), file, row + 1);
            for (long i = 0; i < group.Count; i++)
            {
                row++;
                bytes.ResetWrittenCount();
                Guarded(() =>
                {
                    using var writer = new Utf8JsonWriter(bytes, Relaxed);
                    group.Write(writer);
                    return true;
                }, file, row);
                yield return bytes.WrittenCount > limits.RowBytes
                    ? JsonLinesReader.TooLong(file, row, bytes.WrittenCount, limits)
                    : new RawRow(new RowSource(file, row)) { Json = bytes.WrittenMemory.ToArray() };
            }
        }
    }

    private static ParquetReader Open(ParquetWindow window) => ParquetReader.CreateAsync(window, leaveStreamOpen: true).GetAwaiter().GetResult();

    private static T Guarded<T>(Func<T> read, string file, long row)
    {
        try
        {
            return read();
        }
        // A damaged file makes the library fail in many ways; each of them is a bad file.
        catch (Exception fault) when (fault is not (DataException or OutOfMemoryException))
        {
            throw new DataException($"cannot read parquet file ({file}:{row}): {fault.Message.TrimEnd('.').ReplaceLineEndings(" ")}; check that it is whole, "
                + "and that its columns are strings, numbers, lists or structs of these", fault);
        }
    }
}
