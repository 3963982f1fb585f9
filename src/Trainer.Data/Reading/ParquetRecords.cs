using System.Globalization;
using System.Text.Json;
using Parquet;
using Parquet.Schema;

namespace Trainer.Data.Reading;

/// <summary>
/// Puts the rows of a row group together from their columns and writes each as a JSON object. A list is empty where it is defined and has no
/// element, and null where it is not defined (github.com/apache/parquet-format, Nested Encoding).
/// </summary>
internal sealed class ParquetRecords : IDisposable
{
    // Shared by all columns: a table of many columns holds less of each.
    private const long HeldBytes = 64 << 20, LeastBytes = 64 << 10;

    private readonly ParquetRowGroupReader _group;
    private readonly IReadOnlyList<Field> _fields;
    private readonly Dictionary<Field, ParquetColumn> _columns = [];

    public ParquetRecords(ParquetReader reader, int group, ParquetWindow file)
    {
        _group = reader.OpenRowGroupReader(group);
        _fields = reader.Schema.Fields;
        var leaves = _fields.SelectMany(Leaves).ToList();
        foreach (var leaf in leaves) _columns.Add(leaf, new ParquetColumn(_group, leaf, file, Math.Max(LeastBytes, HeldBytes / leaves.Count)));
    }

    /// <summary>Rows of the group.</summary>
    public long Count => _group.RowCount;

    /// <summary>Writes the next row.</summary>
    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach (var field in _fields) Member(writer, field);
        writer.WriteEndObject();
    }

    private static IEnumerable<Field> Members(Field field) => field switch
    {
        StructField map => map.Fields,
        ListField list => [list.Item],
        MapField map => [map.Key, map.Value],
        _ => [],
    };

    private static IEnumerable<DataField> Leaves(Field field) => field is DataField data ? [data] : Members(field).SelectMany(Leaves);

    private ParquetColumn First(Field field) => _columns[Leaves(field).First()];

    private void Member(Utf8JsonWriter writer, Field field)
    {
        writer.WritePropertyName(field.Name);
        Value(writer, field);
    }

    private void Value(Utf8JsonWriter writer, Field field)
    {
        switch (field)
        {
            case DataField { IsArray: true } data:
                Elements(writer, data, () => ParquetJson.Write(writer, _columns[data].Next()));
                break;
            case DataField data:
                ParquetJson.Write(writer, _columns[data].Next());
                break;
            case ListField list:
                Elements(writer, list, () => Value(writer, list.Item));
                break;
            case MapField map when First(map).Definition >= map.MaxDefinitionLevel:
                writer.WriteStartObject();
                do
                {
                    writer.WritePropertyName(Convert.ToString(ParquetJson.Plain(First(map.Key).Next()), CultureInfo.InvariantCulture) ?? "");
                    Value(writer, map.Value);
                }
                while (First(map).Repetition == map.MaxRepetitionLevel);
                writer.WriteEndObject();
                break;
            case StructField map when First(map).Definition >= map.MaxDefinitionLevel:
                writer.WriteStartObject();
                foreach (var member in map.Fields) Member(writer, member);
                writer.WriteEndObject();
                break;
            default:
                writer.WriteNullValue();
                Pass(field);
                break;
        }
    }

    private void Elements(Utf8JsonWriter writer, Field list, Action element)
    {
        var first = First(list);
        var defined = first.Definition;
        if (defined < list.MaxDefinitionLevel)
        {
            if (defined == list.MaxDefinitionLevel - 1)
            {
                writer.WriteStartArray();
                writer.WriteEndArray();
            }
            else writer.WriteNullValue();
            Pass(list);
            return;
        }
        writer.WriteStartArray();
        do element();
        while (first.Repetition == list.MaxRepetitionLevel);
        writer.WriteEndArray();
    }

    /// <summary>Every column below something that is not there has one place for it.</summary>
    private void Pass(Field field)
    {
        foreach (var leaf in Leaves(field)) _columns[leaf].Next();
    }

    public void Dispose()
    {
        foreach (var column in _columns.Values) column.Dispose();
        _group.Dispose();
    }
}
