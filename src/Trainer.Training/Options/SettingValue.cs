namespace Trainer.Training.Options;

/// <summary>What the user said about one setting, and where: the option as typed, or the recipe's key, file and line.</summary>
public sealed record SettingValue(string Origin, IReadOnlyList<SettingItem> Items);
