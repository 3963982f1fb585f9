using Trainer.Data.Sources;

namespace Trainer.Data.Storage;

/// <summary>A file of a source.</summary>
/// <param name="Path">The file.</param>
/// <param name="Source">Which source of the options it belongs to.</param>
/// <param name="Columns">The source's column mapping.</param>
/// <param name="Rows">The rows to take, or null for all.</param>
internal sealed record InputEntry(string Path, int Source, IReadOnlyDictionary<string, string>? Columns, RowRange? Rows = null);

/// <summary>Files that become one store.</summary>
internal sealed record InputGroup(IReadOnlyList<InputEntry> Files, string[] Hashes)
{
    public static InputGroup Of(List<InputEntry> entries) => new(entries, InputHash.Of([.. entries.Select(entry => entry.Path)]));

    public static List<InputEntry> Entries(IReadOnlyList<DataSource> sources, Func<DataSource, IReadOnlyList<FoundFile>> files)
    {
        var entries = new List<InputEntry>();
        for (var s = 0; s < sources.Count; s++)
            foreach (var file in files(sources[s])) entries.Add(new InputEntry(file.Path, s, file.Columns, file.Rows));
        return entries;
    }
}
