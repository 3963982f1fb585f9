using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>How one tool names things.</summary>
/// <param name="Name">As <c>--from</c> takes it.</param>
/// <param name="Marks">Keys that give the tool away.</param>
/// <param name="Keys">What becomes of its own keys; those of transformers follow behind them.</param>
/// <param name="Finish">What is settled when every key has been seen.</param>
internal sealed record Dialect(string Name, string[] Marks, IReadOnlyDictionary<string, KeyRule> Keys, Action<ImportDraft> Finish)
{
    public static readonly IReadOnlyList<Dialect> All =
        [Axolotl.Dialect, LlamaFactory.Dialect, LlamaFactoryV1.Dialect, MlxLm.Dialect, Torchtune.Dialect, Trl.Dialect, Unsloth.Dialect];

    /// <summary>Whether none of transformers' keys means anything in it.</summary>
    public bool IsAlone { get; init; }

    /// <summary>What is done to a file before its keys are read.</summary>
    public Action<YamlMappingNode> Prepare { get; init; } = static _ => { };

    /// <summary>The rule of a key, or null where nobody knows it.</summary>
    public KeyRule? RuleOf(string key)
    {
        if (Keys.TryGetValue(key, out var own)) return own;
        if (!IsAlone && Transformers.Keys.TryGetValue(key, out var common)) return common;
        foreach (var (prefix, reason) in Transformers.Harmless)
            if (key.StartsWith(prefix, StringComparison.Ordinal)) return KeyRules.Drop(reason);
        return null;
    }
}
