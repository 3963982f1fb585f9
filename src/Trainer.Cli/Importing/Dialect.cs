namespace Trainer.Cli.Importing;

/// <summary>How one tool names things.</summary>
/// <param name="Name">As <c>--from</c> takes it.</param>
/// <param name="Marks">Keys that give the tool away.</param>
/// <param name="Keys">What becomes of its own keys; those of transformers follow behind them.</param>
/// <param name="Finish">What is settled when every key has been seen.</param>
internal sealed record Dialect(string Name, string[] Marks, IReadOnlyDictionary<string, KeyRule> Keys, Action<ImportDraft> Finish)
{
    public static readonly IReadOnlyList<Dialect> All = [Axolotl.Dialect, LlamaFactory.Dialect, MlxLm.Dialect, Trl.Dialect, Unsloth.Dialect];

    /// <summary>The rule of a key, or null where nobody knows it.</summary>
    public KeyRule? RuleOf(string key)
    {
        if (Keys.TryGetValue(key, out var own)) return own;
        if (this != MlxLm.Dialect && Transformers.Keys.TryGetValue(key, out var common)) return common;
        foreach (var (prefix, reason) in Transformers.Harmless)
            if (key.StartsWith(prefix, StringComparison.Ordinal)) return KeyRules.Drop(reason);
        return null;
    }
}
