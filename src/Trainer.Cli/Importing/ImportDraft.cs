using System.Globalization;
using System.Text.RegularExpressions;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>A recipe that is being made of another tool's configuration. Nothing leaves it without a word: a key is set, dropped with a reason, or changes the
/// job.</summary>
internal sealed class ImportDraft(YamlMappingNode root)
{
    private static readonly Regex Underscore = new("(?<=[0-9])_(?=[0-9])", RegexOptions.CultureInvariant);
    private readonly Dictionary<string, object> _entries = [];
    private readonly HashSet<string> _defaults = [];
    private readonly List<ImportedKey> _dropped = [];
    private readonly List<ImportedKey> _changed = [];
    private readonly List<string> _missing = [];

    /// <summary>Whether the configuration trains on from an adapter, whose shape is then kept.</summary>
    public bool IsContinued => Has(AdapterSettings.Adapter);

    public bool Has(Setting setting) => _entries.ContainsKey(setting.Key);

    public object? this[Setting setting] => _entries.GetValueOrDefault(setting.Key);

    public double? Number(Setting setting) => this[setting] is double number ? number : null;

    /// <summary>The text of another key of the configuration, dots between the names of nested ones, or null where it says nothing.</summary>
    public string? Theirs(string key) => Node(key) is { } node && !IsNothing(Flat(node)) ? Flat(node) : null;

    public YamlNode? Node(string key) => Node(root, key);

    /// <summary>What stands under a key, dots between the names of nested ones.</summary>
    public static YamlNode? Node(YamlMappingNode root, string key)
    {
        YamlNode? node = root;
        foreach (var name in key.Split('.'))
            node = node is YamlMappingNode map && map.Children.TryGetValue(new YamlScalarNode(name), out var inner) ? inner : null;
        return node;
    }

    /// <summary>The pairs of a mapping; none where the key is absent or something else.</summary>
    public static IEnumerable<KeyValuePair<YamlNode, YamlNode>> Pairs(YamlNode? node) => node is YamlMappingNode map ? map.Children : [];

    /// <summary>Sets a key to words as the configuration writes them; the setting's kind says what they are.</summary>
    public void Take(Setting setting, string key, string text)
    {
        switch (setting.Kind)
        {
            case SettingKind.Integer or SettingKind.Number:
                if (!TryNumber(text, out var number)) Change(key, text, "it is not a number");
                else if (setting.Kind == SettingKind.Integer && number != Math.Truncate(number)) Change(key, text, "it is not a whole number");
                else if (!setting.Holds(number)) Change(key, text, $"{setting.Key} is out of range{setting.Range}");
                else Set(setting, number);
                break;
            case SettingKind.Flag:
                if (Truth(text) is { } flag) Set(setting, flag);
                else Change(key, text, "it is neither true nor false");
                break;
            case SettingKind.Choice:
                var word = text.ToLowerInvariant().Replace('_', '-');
                if (setting.Choices.Contains(word)) Set(setting, word);
                else if (setting.Synonyms.TryGetValue(word, out var meant)) Set(setting, meant);
                else Change(key, text, $"{setting.Key} is one of {string.Join(", ", setting.Choices)} here");
                break;
            case SettingKind.List:
                Set(setting, Words(text));
                break;
            default:
                Set(setting, text);
                break;
        }
    }

    public void Set(Setting setting, object value) => _entries[setting.Key] = value;

    public void Remove(Setting setting)
    {
        _entries.Remove(setting.Key);
        _defaults.Remove(setting.Key);
    }

    /// <summary>What the tool does where its configuration is silent.</summary>
    public void Default(Setting setting, object value)
    {
        if (setting.ShapesAdapter && IsContinued) return;
        if (_entries.TryAdd(setting.Key, value)) _defaults.Add(setting.Key);
    }

    /// <summary>A key that changes nothing of the job here.</summary>
    public void Drop(string key, string value, string reason) => _dropped.Add(new ImportedKey(key, value, reason));

    /// <summary>A key without which this would be another job.</summary>
    public void Change(string key, string value, string reason) => _changed.Add(new ImportedKey(key, value, reason));

    public void Miss(string sentence)
    {
        if (!_missing.Contains(sentence)) _missing.Add(sentence);
    }

    public bool Misses(string word) => _missing.Any(sentence => sentence.Contains(word, StringComparison.Ordinal));

    public ImportResult Result(string dialect)
    {
        var order = TrainSettings.Recipe.Select((setting, at) => (setting.Key, at)).ToDictionary(pair => pair.Key, pair => pair.at);
        return new ImportResult(dialect, [.. _entries.OrderBy(entry => order[entry.Key])], _defaults, _dropped, _changed, _missing);
    }

    public static bool IsNothing(string text) => text.Length == 0 || text is "null" or "Null" or "~" or "None";

    /// <summary>Whether a value only says that something is not used.</summary>
    public static bool IsOff(string text) => IsNothing(text) || text.ToLowerInvariant() is "false" or "no" or "off" or "none" or "0" or "0.0";

    public static bool? Truth(string text) => text.ToLowerInvariant() switch
    {
        "true" or "yes" or "on" or "1" => true,
        "false" or "no" or "off" or "0" => false,
        _ => null,
    };

    /// <summary>Reads a number as the tools do, whose YAML 1.1 and Python take underscores between digits: 500_000.</summary>
    public static bool TryNumber(string text, out double number) =>
        double.TryParse(Underscore.Replace(text, ""), NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);

    public static List<object> Words(string text) => [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];

    /// <summary>A node on one line.</summary>
    public static string Flat(YamlNode node) => node switch
    {
        YamlScalarNode scalar => scalar.Value ?? "",
        YamlSequenceNode list => string.Join(", ", list.Children.Select(Flat)),
        YamlMappingNode map => string.Join(", ", map.Children.Select(pair => $"{pair.Key}={Flat(pair.Value)}")),
        _ => node.ToString(),
    };
}
