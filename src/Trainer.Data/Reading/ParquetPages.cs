using Parquet.Meta;

namespace Trainer.Data.Reading;

/// <summary>A page of a column: its place in the file with its header, its size unpacked, and how many values it holds.</summary>
internal sealed record ParquetPage(long From, long Bytes, long UnpackedBytes, long Values, PageType Kind)
{
    public bool IsDictionary => Kind == PageType.DICTIONARY_PAGE;

    public bool IsData => Kind is PageType.DATA_PAGE or PageType.DATA_PAGE_V2;
}

/// <summary>
/// The pages of one column of a row group, by their headers (github.com/apache/parquet-format, PageHeader): { 1 kind, 2 bytes unpacked, 3 bytes,
/// 5 data page { 1 values }, 7 dictionary page { 1 values }, 8 data page of version 2 { 1 values } }.
/// </summary>
internal static class ParquetPages
{
    /// <summary>The most bytes of a page, unpacked: it is the least that can be held at a time.</summary>
    public const long MostBytes = 256 << 20;

    /// <summary>The most values of a page.</summary>
    public const long MostValues = 8 << 20;

    private const int HeaderBytes = 1 << 10, MostHeaderBytes = 16 << 20;

    /// <summary>Reads one header after the other, until the column has given all its values.</summary>
    /// <exception cref="InvalidDataException">The pages are not where the footer says, or larger than can be held.</exception>
    public static IEnumerable<ParquetPage> Of(ColumnMetaData column, ParquetWindow file, string name)
    {
        var at = column.DictionaryPageOffset is > 0 and { } first ? Math.Min(first, column.DataPageOffset) : column.DataPageOffset;
        for (var values = column.NumValues; values > 0;)
        {
            var page = Header(file, at);
            if (page.UnpackedBytes > MostBytes || page.Bytes > MostBytes || page.Values > MostValues)
                throw new InvalidDataException($"a page of its column '{name}' has {page.Values} values in {page.UnpackedBytes} bytes, more than "
                    + $"the {MostValues} values or {MostBytes} bytes that are held at a time; write it with smaller pages");
            if (page.IsData) values -= page.Values;
            if (page.IsData && page.Values == 0) throw new InvalidDataException($"a page of its column '{name}' holds no values");
            yield return page;
            at = page.From + page.Bytes;
        }
    }

    private static ParquetPage Header(ParquetWindow file, long at)
    {
        for (var size = HeaderBytes; size <= MostHeaderBytes; size *= 4)
        {
            var bytes = file.Bytes(at, size);
            try
            {
                return Header(new ThriftReader(bytes), at);
            }
            catch (EndOfStreamException) when (bytes.Length == size)
            {
                // It is longer: it may carry the smallest and the largest value.
            }
            catch (EndOfStreamException fault)
            {
                throw new InvalidDataException("the file ends in the midst of a column", fault);
            }
        }
        throw new InvalidDataException("the header of a page has no end");
    }

    private static ParquetPage Header(ThriftReader header, long at)
    {
        long kind = -1, unpacked = -1, packed = -1, values = 0;
        header.Structure((field, type) =>
        {
            if (field == 1 && type == 5) kind = header.Signed();
            else if (field == 2 && type == 5) unpacked = header.Signed();
            else if (field == 3 && type == 5) packed = header.Signed();
            else if (field is 5 or 7 or 8 && type == ThriftReader.StructureType)
                header.Structure((inner, innerType) =>
                {
                    if (inner == 1 && innerType == 5) values = header.Signed();
                    else header.Skip(innerType);
                });
            else header.Skip(type);
        });
        if (kind is < 0 or > 3 || unpacked < 0 || packed < 0 || values < 0) throw new InvalidDataException("the header of a page is damaged");
        return new ParquetPage(at, header.Position + packed, unpacked, values, (PageType)kind);
    }
}
