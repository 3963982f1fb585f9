using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>What becomes of one key of another tool. Null values never get here.</summary>
/// <param name="draft">The recipe so far.</param>
/// <param name="key">The key.</param>
/// <param name="text">Its value on one line.</param>
/// <param name="node">Its value.</param>
internal delegate void KeyRule(ImportDraft draft, string key, string text, YamlNode node);

/// <summary>The kinds of rule that most keys have.</summary>
internal static class KeyRules
{
    public const string Speed = "a speed or memory switch of its own engine; trainer decides this itself";
    public const string Place = "metrics.jsonl, TensorBoard files and report.html lie in the run folder";
    public const string Wandb = "report_to: wandb writes W&B's offline files; WANDB_PROJECT, WANDB_ENTITY and WANDB_NAME say whose they are";
    public const string Uploaded = "a run uploads nothing; 'trainer push RUN ORG/NAME' sends the adapter";
    public const string FromModel = "read from the model's own files";
    public const string Sets = "what is measured and kept on the way changes nothing of the adapter";
    public const string NewTokens = "write the texts into a file, one a line, and name it under add_tokens";
    public const string Padding = "padding carries no loss and meets no other token";

    /// <summary>The same thing by our name.</summary>
    public static KeyRule To(Setting setting) => (draft, key, text, _) => draft.Take(setting, key, text);

    /// <summary>Nothing of the job hangs on it.</summary>
    public static KeyRule Drop(string reason) => (draft, key, text, _) => draft.Drop(key, text, reason);

    /// <summary>Another job, unless the value says that it is not used.</summary>
    public static KeyRule Stop(string reason) => (draft, key, text, _) =>
    {
        if (!ImportDraft.IsOff(text)) draft.Change(key, text, reason);
    };

    /// <summary>Another job, unless the value is one of those that train has in any case.</summary>
    public static KeyRule Only(string[] words, string reason) => (draft, key, text, _) =>
    {
        if (!words.Contains(text, StringComparer.OrdinalIgnoreCase)) draft.Change(key, text, reason);
    };

    /// <summary>Where it is on.</summary>
    public static KeyRule WhenOn(Action<ImportDraft> act) => (draft, _, text, _) =>
    {
        if (ImportDraft.Truth(text) is true) act(draft);
    };

    /// <summary>A mapping whose keys have rules of their own.</summary>
    /// <param name="tool">Whose configuration it is.</param>
    /// <param name="rules">What becomes of each.</param>
    public static KeyRule Inside(string tool, IReadOnlyDictionary<string, KeyRule> rules) => (draft, key, text, node) =>
    {
        if (node is not YamlMappingNode map) draft.Change(key, text, "it is no mapping of names to values");
        else
            foreach (var (name, value) in map.Children)
            {
                var (path, inner) = ($"{key}.{name}", ImportDraft.Flat(value));
                if (ImportDraft.IsNothing(inner)) continue;
                if (rules.TryGetValue(name.ToString(), out var rule)) rule(draft, path, inner, value);
                else draft.Change(path, inner, $"trainer does not know this key of {tool}");
            }
    };
}
