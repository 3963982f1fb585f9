namespace Trainer.Training.Options;

/// <summary>One word of a value, with the pairs that a recipe's mapping or a <c>,key=value</c> suffix added.</summary>
public sealed record SettingItem(string Text, IReadOnlyDictionary<string, string>? Pairs = null);
