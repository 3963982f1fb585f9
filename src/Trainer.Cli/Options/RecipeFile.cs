using Trainer.Checkpoints.Atomic;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Importing;
using Trainer.Training.Options;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Options;

/// <summary>A YAML recipe: flat keys, the long names of the options; anything else is refused with its line.</summary>
internal static class RecipeFile
{
    public static IReadOnlyDictionary<string, SettingValue> Read(string path, IReadOnlyList<Setting> settings)
    {
        var faults = new List<string>();
        var values = new Dictionary<string, SettingValue>();
        if (RecipeYaml.Load(path) is not { } root) return values;
        if (Tools.NameOf(root) is { } tool)
        {
            var way = Dialect.All.All(dialect => dialect.Name != tool) ? "" : $"; type: trainer import {ShellWord.Quote(path)}";
            throw new UsageException($"'{path}' is no recipe but a configuration of {tool}{way}");
        }
        var byName = settings.SelectMany(setting => setting.AllNames.Select(name => (name, setting))).ToDictionary(pair => pair.name, pair => pair.setting);
        foreach (var (keyNode, node) in root.Children)
        {
            var typed = (keyNode as YamlScalarNode)?.Value ?? "";
            var where = $"{path}:{keyNode.Start.Line}";
            if (!byName.TryGetValue(TokenNormalizer.Kebab(typed), out var setting))
            {
                var near = DidYouMean.Nearest(TokenNormalizer.Kebab(typed), byName.Keys);
                faults.Add($"unknown key '{typed}' ({where})"
                    + (near is null ? "; 'trainer schema' lists them" : $"; did you mean '{near.Replace('-', '_')}'?"));
                continue;
            }
            if (values.TryGetValue(setting.Key, out var earlier))
            {
                faults.Add($"'{typed}' ({where}) repeats {earlier.Origin}; keep one");
                continue;
            }
            if (Items(node, setting, where, faults) is { } items) values[setting.Key] = new SettingValue($"'{typed}' ({where})", items);
        }
        return faults.Count > 0 ? throw new UsageException(faults) : values;
    }

    /// <summary>The words of a node; null for an empty one (<c>key:</c> or <c>null</c>), which means the default.</summary>
    private static List<SettingItem>? Items(YamlNode node, Setting setting, string where, List<string> faults)
    {
        switch (node)
        {
            case YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" or "Null" or "NULL" }:
                return null;
            case YamlScalarNode scalar:
                return [new SettingItem(scalar.Value ?? "")];
            case YamlSequenceNode sequence when setting.TakesMany:
                var items = new List<SettingItem>();
                foreach (var child in sequence.Children)
                {
                    if (child is YamlScalarNode word) items.Add(new SettingItem(word.Value ?? ""));
                    else if (child is YamlMappingNode map && setting.Kind == SettingKind.Sources) items.Add(Source(map, where, faults));
                    else
                        faults.Add($"'{setting.Key}' ({where}) holds an element that is neither a "
                            + $"word{(setting.Kind == SettingKind.Sources ? " nor a 'path: ...' mapping" : "")}");
                }
                return items;
            case YamlMappingNode map when setting.Kind == SettingKind.Sources:
                return [Source(map, where, faults)];
            case YamlMappingNode map when setting.Kind == SettingKind.Pairs:
                return [new SettingItem("", Pairs(map, where, faults))];
            default:
                faults.Add($"'{setting.Key}' ({where}) takes {(setting.TakesMany ? "a word or a list" : "one value")}, not a "
                    + $"{(node is YamlMappingNode ? "mapping" : "list")}");
                return null;
        }
    }

    private static SettingItem Source(YamlMappingNode map, string where, List<string> faults)
    {
        var pairs = new Dictionary<string, string>();
        foreach (var (key, value) in map.Children)
        {
            if (key is YamlScalarNode { Value: "columns" } && value is YamlMappingNode columns)
                foreach (var (ours, theirs) in Pairs(columns, where, faults)) pairs[ours] = theirs;
            else if (key is YamlScalarNode { Value: "path" or "weight" or "split" or "subset" } word && value is YamlScalarNode scalar)
                pairs[word.Value!] = scalar.Value ?? "";
            else
                faults.Add($"unknown key '{key}' in a data source ({where}); it takes path, weight, split, subset and columns");
        }
        if (!pairs.Remove("path", out var path)) faults.Add($"a data source ({where}) has no 'path'");
        return new SettingItem(path ?? "", pairs);
    }

    private static Dictionary<string, string> Pairs(YamlMappingNode map, string where, List<string> faults)
    {
        var pairs = new Dictionary<string, string>();
        foreach (var (key, value) in map.Children)
        {
            if (key is YamlScalarNode { Value: { } name } && value is YamlScalarNode { Value: { } text }) pairs[name] = text;
            else faults.Add($"'{key}' ({where}) is not a 'name: value' pair");
        }
        return pairs;
    }
}
