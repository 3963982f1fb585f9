using System.Collections;
using Parquet;
using Parquet.Schema;

namespace Trainer.Data.Reading;

/// <summary>
/// Puts empty lists back into rows of a parquet file. The library's rows have no list where it is empty, as where it is null; the levels of the
/// columns below the list tell the two apart (an empty list is defined, and has no element: github.com/apache/parquet-format, Nested Encoding).
/// </summary>
internal static class EmptyLists
{
    /// <summary>Fills the rows of one row group.</summary>
    public static void Restore(ParquetReader reader, int rowGroup, IReadOnlyList<IDictionary> rows)
    {
        using var group = reader.OpenRowGroupReader(rowGroup);
        foreach (var field in reader.Schema.Fields) Visit(group, field, [], rows);
    }

    private static void Visit(ParquetRowGroupReader group, Field field, IReadOnlyList<Field> above, IReadOnlyList<IDictionary> rows)
    {
        IReadOnlyList<Field> path = [.. above, field];
        switch (field)
        {
            case StructField map:
                foreach (var member in map.Fields) Visit(group, member, path, rows);
                break;
            case ListField list:
                if (Leaf(list.Item) is { } leaf) Fill(group, list, leaf, above, rows);
                Visit(group, list.Item, path, rows);
                break;
        }
    }

    /// <summary>Some column below a field: all of them tell where the field is empty.</summary>
    private static DataField? Leaf(Field field) => field switch
    {
        DataField data => data,
        ListField list => Leaf(list.Item),
        StructField map => map.Fields.Select(Leaf).FirstOrDefault(leaf => leaf is not null),
        MapField map => Leaf(map.Key),
        _ => null,
    };

    private static void Fill(ParquetRowGroupReader group, ListField list, DataField leaf, IReadOnlyList<Field> above, IReadOnlyList<IDictionary> rows)
    {
        var column = group.ReadRawColumnDataBaseAsync(leaf, default).AsTask().GetAwaiter().GetResult();
        var defined = column.DefinitionLevels;
        var repeated = column.RepetitionLevels;
        var at = new int[leaf.MaxRepetitionLevel + 1]; // row, then the element of each list around
        at[0] = -1;
        for (var i = 0; i < defined.Length; i++)
        {
            var level = repeated[i];
            at[level]++;
            Array.Clear(at, level + 1, at.Length - level - 1);
            if (defined[i] == list.MaxDefinitionLevel - 1 && Owner(rows[at[0]], above, at) is { } owner) owner[list.Name] = Array.Empty<object>();
        }
    }

    /// <summary>The row or the struct that holds the list.</summary>
    private static IDictionary? Owner(object? place, IReadOnlyList<Field> above, int[] at)
    {
        foreach (var field in above)
        {
            // The element of a list has no name of its own: its list has led to it already.
            if (place is IDictionary map && map.Contains(field.Name)) place = map[field.Name];
            if (field is ListField list) place = place is IList items && at[list.MaxRepetitionLevel] < items.Count ? items[at[list.MaxRepetitionLevel]] : null;
        }
        return place as IDictionary;
    }
}
