namespace Trainer.Data;

/// <summary>A column of a data file.</summary>
/// <param name="Name">As the file has it.</param>
/// <param name="Type">What its values are: <c>string</c>, <c>number</c>, <c>list</c>, <c>object</c>, <c>boolean</c>, several joined by "or"; of a parquet file,
/// as its footer says: <c>list&lt;struct&lt;role: string, content: string&gt;&gt;</c>.</param>
/// <param name="Rows">Rows that have it and not null; null where only the footer was read.</param>
public sealed record DataColumn(string Name, string Type, long? Rows);
