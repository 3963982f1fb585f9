namespace Trainer.Cli.Importing;

/// <summary>Another tool's configuration as ours, with what became of every key.</summary>
/// <param name="Dialect">The tool.</param>
/// <param name="Entries">Keys and values of the recipe.</param>
/// <param name="Dropped">Keys that have no counterpart, with their value and the reason.</param>
internal sealed record ImportResult(string Dialect, IReadOnlyList<KeyValuePair<string, object>> Entries, IReadOnlyList<(string Key, string Value, string Reason)> Dropped);
