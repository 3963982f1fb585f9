using Parquet.Schema;

namespace Trainer.Data.Reading;

/// <summary>The columns of a parquet file in words, from its footer alone.</summary>
internal static class ParquetSchemaText
{
    /// <summary>Rows and columns.</summary>
    /// <exception cref="DataException">It is no parquet file, or damaged.</exception>
    public static (long Rows, IReadOnlyList<DataColumn> Columns) Of(Stream stream, string file) => ParquetRowReader.Footer(stream, file, reader =>
        (reader.Metadata?.NumRows ?? 0, (IReadOnlyList<DataColumn>)[.. reader.Schema.Fields.Select(field => new DataColumn(field.Name, Type(field), null))]));

    private static string Type(Field field) => field switch
    {
        ListField list => $"list<{Type(list.Item)}>",
        StructField map => $"struct<{string.Join(", ", map.Fields.Select(member => $"{member.Name}: {Type(member)}"))}>",
        MapField map => $"map<{Type(map.Key)}, {Type(map.Value)}>",
        DataField { IsArray: true } data => $"list<{Type(data.ClrType)}>",
        DataField data => Type(data.ClrType),
        _ => "unknown",
    };

    private static string Type(Type type) => type == typeof(string) || type == typeof(ReadOnlyMemory<char>) ? "string"
        : type == typeof(byte[]) || type == typeof(ReadOnlyMemory<byte>) ? "bytes"
        : type == typeof(bool) ? "boolean"
        : type == typeof(float) ? "float32"
        : type == typeof(double) ? "float64"
        : type == typeof(DateTime) ? "timestamp"
        : type.Name.ToLowerInvariant();
}
