namespace Trainer.Cli.Importing;

/// <summary>Another tool's configuration as ours, with what became of every key.</summary>
/// <param name="Dialect">The tool.</param>
/// <param name="Entries">Keys and values of the recipe.</param>
/// <param name="Defaults">Which of them the configuration does not name: the tool's own defaults, where ours differ.</param>
/// <param name="Dropped">Keys that change nothing here, with their value and the reason.</param>
/// <param name="Changed">Keys without which this is another job, with their value and the reason.</param>
/// <param name="Missing">What stands between the recipe and a run, a sentence each.</param>
internal sealed record ImportResult(
    string Dialect,
    IReadOnlyList<KeyValuePair<string, object>> Entries,
    IReadOnlySet<string> Defaults,
    IReadOnlyList<ImportedKey> Dropped,
    IReadOnlyList<ImportedKey> Changed,
    IReadOnlyList<string> Missing);

/// <summary>A key of the other tool that is not taken over.</summary>
/// <param name="Key">As it is written there.</param>
/// <param name="Value">Its value on one line.</param>
/// <param name="Reason">Why.</param>
internal sealed record ImportedKey(string Key, string Value, string Reason);
