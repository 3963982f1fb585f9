using Trainer.Cli.Options;
using Trainer.Hub;
using Trainer.Training.Options;
using YamlDotNet.RepresentationModel;

namespace Trainer.Cli.Importing;

/// <summary>Reads a configuration of another tool as a recipe; nothing is dropped without a word, and what would be another job is said.</summary>
internal static class Importer
{
    public static ImportResult Import(YamlMappingNode root, Dialect dialect)
    {
        dialect.Prepare(root);
        var draft = new ImportDraft(root);
        foreach (var (node, value) in root.Children)
        {
            var (key, text) = (node.ToString(), ImportDraft.Flat(value));
            if (ImportDraft.IsNothing(text)) continue;
            if (dialect.RuleOf(key) is { } rule) rule(draft, key, text, value);
            else if (Negated(dialect, key) is { } plain && ImportDraft.Truth(text) is { } isOff) plain(draft, key, isOff ? "false" : "true", value);
            else draft.Change(key, text, $"trainer does not know this key of {dialect.Name}");
        }
        dialect.Finish(draft);
        if (draft.Has(StepSettings.MaxSteps) && draft[StepSettings.Epochs] is { } epochs)
        {
            draft.Remove(StepSettings.Epochs);
            draft.Drop("epochs", epochs.ToString()!, "max_steps says how long to train");
        }
        FindMissing(draft);
        return draft.Result(dialect.Name);
    }

    // transformers writes no_X for the switch X turned off.
    private static KeyRule? Negated(Dialect dialect, string key) =>
        key.StartsWith("no_", StringComparison.Ordinal) && dialect.RuleOf(key[3..]) is { } rule && rule != Schedules.Later ? rule : null;

    // A subset is fetched alone.
    private static string Full(string name, object source)
        => source is Dictionary<string, object> map && map.TryGetValue("subset", out var subset) ? $"{name}:{subset}" : name;

    /// <summary>A recipe that cannot run must not look as if it could.</summary>
    private static void FindMissing(ImportDraft draft)
    {
        var cache = new HubCache(HubOptions.FromEnvironment().CacheFolder);
        if (!draft.Has(ModelSettings.Model)) draft.Miss("no model is named; add model: DIR");
        foreach (var setting in new[] { DataSettings.Data, DataSettings.EvalData })
        {
            if (draft[setting] is not IEnumerable<object> sources) continue;
            foreach (var source in sources)
            {
                var name = source is Dictionary<string, object> map ? map["path"].ToString()! : source.ToString()!;
                if (DataNames.IsHere(name)) continue;
                if (!DataNames.IsHubName(name)) draft.Miss($"there is no '{name}' here; name the file where it lies under {setting.Key}");
                else if (HubData.Find(name, cache)?.Folder(cache) is null)
                    draft.Miss($"'{name}' is no file or folder here; {DataNames.HowToGet(Full(name, source))}");
            }
        }
        if (!draft.Has(DataSettings.Data) && !draft.Misses("data")) draft.Miss("no data is named; add data: FILE.jsonl");
    }
}
