namespace Trainer.Cli.CommandLine;

/// <summary>What the user said about one setting, and where: the option as typed, or the recipe's key, file and line.</summary>
internal sealed record SettingValue(string Origin, IReadOnlyList<SettingItem> Items);
