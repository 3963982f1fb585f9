namespace Trainer.Data.Sources;

/// <summary>A data file as a source names it.</summary>
/// <param name="Path">The file.</param>
/// <param name="Columns">Our column names to the file's, or null to tell by columns.</param>
/// <param name="Rows">The rows to take, or null for all.</param>
internal sealed record FoundFile(string Path, IReadOnlyDictionary<string, string>? Columns = null, RowRange? Rows = null);
