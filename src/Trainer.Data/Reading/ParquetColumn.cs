using Parquet;
using Parquet.Data;
using Parquet.Meta;
using Parquet.Schema;

namespace Trainer.Data.Reading;

/// <summary>
/// One column of a row group, value by value, a few pages in memory at a time. Each place has a repetition level (which list goes on here) and a
/// definition level (how much of the path to the value is there): S. Melnik et al., "Dremel", VLDB 2010.
/// </summary>
internal sealed class ParquetColumn : IDisposable
{
    // A page of one repeated value is a few bytes and many values.
    private const long WindowValues = 1 << 16;

    private readonly ParquetRowGroupReader _group;
    private readonly DataField _field;
    private readonly ColumnMetaData _meta;
    private readonly ParquetWindow _file;
    private readonly long _windowBytes;
    private readonly IEnumerator<ParquetPage> _pages;
    private ParquetPage? _dictionary;
    private ParquetPage? _next;
    private RawColumnData? _data;
    private int _places, _place, _value;

    /// <param name="group">The open row group.</param>
    /// <param name="field">The column.</param>
    /// <param name="file">What the group reads.</param>
    /// <param name="windowBytes">Pages are read together up to this many bytes unpacked, one at the least.</param>
    public ParquetColumn(ParquetRowGroupReader group, DataField field, ParquetWindow file, long windowBytes)
    {
        (_group, _field, _file, _windowBytes) = (group, field, file, windowBytes);
        _meta = group.GetMetadata(field)?.MetaData ?? throw new InvalidDataException($"its column '{field.Path}' is missing");
        _pages = ParquetPages.Of(_meta, file, field.Path.ToString()).GetEnumerator();
        _next = Page();
    }

    /// <summary>The next place's definition level.</summary>
    public int Definition => _field.MaxDefinitionLevel == 0 ? 0 : Filled.DefinitionLevels[_place];

    /// <summary>The next place's repetition level; 0 at the end, as where the next row begins.</summary>
    public int Repetition => !Fill() || _field.MaxRepetitionLevel == 0 ? 0 : _data!.RepetitionLevels[_place];

    private RawColumnData Filled => Fill() ? _data! : throw new InvalidDataException($"its column '{_field.Path}' ends too early");

    /// <summary>The next place's value, null where none is defined.</summary>
    public object? Next()
    {
        var data = Filled;
        var isThere = _field.MaxDefinitionLevel == 0 || data.DefinitionLevels[_place] == _field.MaxDefinitionLevel;
        _place++;
        return isThere ? ParquetValues.At(data, _value++) : null;
    }

    private bool Fill()
    {
        if (_data is not null && _place < _places) return true;
        if (_next is null) return false;
        var (first, values, bytes, unpacked) = (_next, 0L, 0L, 0L);
        do
        {
            (values, bytes, unpacked) = (values + _next.Values, bytes + _next.Bytes, unpacked + _next.UnpackedBytes);
            _next = Page();
        }
        // Pages that are not neighbours are not read together.
        while (_next is not null && unpacked + _next.UnpackedBytes <= _windowBytes && values + _next.Values <= WindowValues
        && _next.From == first.From + bytes);
        // The library has these for flat columns alone.
        if (first.Kind == PageType.DATA_PAGE_V2 && _field.MaxRepetitionLevel > 0)
            throw new InvalidDataException($"its column '{_field.Path}' has lists in data pages of version 2, which are not read; write it with version 1 "
                + "(data_page_version='1.0' of pyarrow)");
        if (_dictionary is { } dictionary) _file.Show((dictionary.From, dictionary.Bytes), (first.From, bytes));
        else _file.Show((first.From, bytes));
        // The library reads a column from its first page on until it has all values: for it, these are all.
        (_meta.NumValues, _meta.DictionaryPageOffset, _meta.DataPageOffset) = (values, _dictionary is null
            ? null : ParquetWindow.Begin, ParquetWindow.Begin + (_dictionary?.Bytes ?? 0));
        (_meta.TotalCompressedSize, _meta.Statistics) = (bytes + (_dictionary?.Bytes ?? 0), null);
        _data?.Dispose();
        _data = _group.ReadRawColumnDataBaseAsync(_field, default).AsTask().GetAwaiter().GetResult();
        (_places, _place, _value) = ((int)values, 0, 0);
        return true;
    }

    /// <summary>The next page of data; a dictionary before it is kept in mind.</summary>
    private ParquetPage? Page()
    {
        while (_pages.MoveNext())
        {
            if (_pages.Current.IsData) return _pages.Current;
            if (_pages.Current.IsDictionary) _dictionary = _pages.Current;
        }
        return null;
    }

    public void Dispose()
    {
        _data?.Dispose();
        _pages.Dispose();
    }
}
