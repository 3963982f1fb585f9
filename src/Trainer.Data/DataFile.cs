using System.Text.Json;
using Trainer.Data.Reading;

namespace Trainer.Data;

/// <summary>What a data file holds, without a tokenizer: its rows and columns.</summary>
/// <param name="Format">Its format: <c>jsonl</c>, <c>json</c>, <c>csv</c>, <c>parquet</c>, <c>txt</c> and so on.</param>
/// <param name="Rows">Rows, or documents of a .txt file.</param>
/// <param name="BadRows">Rows among them that cannot be read; <c>trainer data check</c> names each.</param>
/// <param name="Columns">Columns in the order in which they come.</param>
/// <param name="First">The first row as JSON, or the first document.</param>
public sealed record DataFile(string Format, long Rows, long BadRows, IReadOnlyList<DataColumn> Columns, string First)
{
    /// <summary>Extensions of the files that can be read, each also with .gz or .zst behind it (parquet excepted).</summary>
    public static IReadOnlyList<string> Extensions => RowReader.Extensions;

    /// <summary>Whether a file is of such a format by its name.</summary>
    public static bool IsOne(string path) => RowReader.Extensions.Contains(InputFile.FormatOf(path));

    /// <summary>Reads a file from end to end; of a parquet file only its footer and its first row.</summary>
    /// <exception cref="DataException">It cannot be read.</exception>
    public static DataFile Read(string path)
    {
        using var input = InputFile.Open(path);
        var format = InputFile.FormatOf(path)[1..];
        if (format == "parquet" && input.Content.CanSeek)
        {
            var (total, described) = ParquetSchemaText.Of(input.Content, path);
            return new DataFile(format, total, 0, described, RowReader.Read(input, Limits.Default).Select(Text).FirstOrDefault() ?? "");
        }
        var (rows, bad, first) = (0L, 0L, "");
        var columns = new Dictionary<string, (SortedSet<string> Types, long Rows)>();
        foreach (var row in RowReader.Read(input, Limits.Default))
        {
            if (rows++ == 0) first = Text(row);
            if (row.Document is not null) continue;
            if (row.Fault is not null || !Count(row.Json, columns)) bad++;
        }
        return new DataFile(format, rows, bad,
            [.. columns.Select(pair => new DataColumn(pair.Key, pair.Value.Types.Count == 0 ? "null" : string.Join(" or ", pair.Value.Types),
            pair.Value.Rows))], first);
    }

    private static string Text(RawRow row) => row.Document ?? System.Text.Encoding.UTF8.GetString(row.Json.Span);

    private static bool Count(ReadOnlyMemory<byte> json, Dictionary<string, (SortedSet<string> Types, long Rows)> columns)
    {
        try
        {
            using var row = JsonDocument.Parse(json);
            if (row.RootElement.ValueKind != JsonValueKind.Object) return false;
            foreach (var property in row.RootElement.EnumerateObject())
            {
                var (types, rows) = columns.GetValueOrDefault(property.Name, (new SortedSet<string>(StringComparer.Ordinal), 0));
                var type = property.Value.ValueKind switch
                {
                    JsonValueKind.String => "string",
                    JsonValueKind.Number => "number",
                    JsonValueKind.Array => "list",
                    JsonValueKind.Object => "object",
                    JsonValueKind.True or JsonValueKind.False => "boolean",
                    _ => null,
                };
                if (type is not null) types.Add(type);
                columns[property.Name] = (types, rows + (type is null ? 0 : 1));
            }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
