namespace Trainer.Data.Storage;

/// <summary>A file of a source.</summary>
/// <param name="Path">The file.</param>
/// <param name="Source">Which source of the options it belongs to.</param>
/// <param name="Columns">The source's column mapping.</param>
internal sealed record InputEntry(string Path, int Source, IReadOnlyDictionary<string, string>? Columns);

/// <summary>Files that become one store.</summary>
internal sealed record InputGroup(IReadOnlyList<InputEntry> Files, string[] Hashes)
{
    public static InputGroup Of(IReadOnlyList<DataSource> sources, Func<string, IReadOnlyList<string>> files)
    {
        var entries = new List<InputEntry>();
        for (var s = 0; s < sources.Count; s++)
            foreach (var file in files(sources[s].Path)) entries.Add(new InputEntry(file, s, sources[s].Columns));
        return new InputGroup(entries, InputHash.Of([.. entries.Select(entry => entry.Path)]));
    }
}
