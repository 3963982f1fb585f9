using System.Globalization;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Hub;
using Trainer.Training.Options;

namespace Trainer.Cli.Options;

/// <summary>Data sources of the command line (<c>FILE,weight=2,prompt=question</c>) and of recipes.</summary>
internal static class SourceReader
{
    /// <summary>What 'demo' stands for.</summary>
    public enum Demo
    {
        Folder,
        HeldOut,
    }

    public static IReadOnlyList<DataSource> Read(SettingValues values, Setting setting, Demo demo)
    {
        var sources = new List<DataSource>();
        foreach (var item in values.Items(setting))
        {
            var (path, pairs) = Split(item);
            var weight = 1.0;
            var columns = new Dictionary<string, string>();
            string? split = null, subset = null;
            foreach (var (key, value) in pairs)
            {
                if (key == "split") split = value;
                else if (key is "subset" or "name") subset = value;
                else if (key != "weight") columns[key] = value;
                else if (!double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out weight) || !double.IsFinite(weight) || weight <= 0)
                    values.Fault($"weight '{value}' of {values.Origin(setting)} '{path}' is not a number above 0");
            }
            if (path.Length == 0) continue;
            var (place, part) = Part(path);
            if (part is not null && split is not null) values.Fault($"{values.Origin(setting)} '{path}' and split={split} both name a part; keep one");
            split ??= part;
            CheckSplit(values, setting, split);
            var resolved = ResolveDemo(place, demo);
            var chosen = columns.Count > 0 ? columns : null;
            if (RegularFile.IsOther(resolved))
                values.Fault($"{values.Origin(setting)} '{path}' is no regular file but a pipe, a socket or a device; data is read twice, so put it into a "
                    + "file");
            else if (File.Exists(resolved) || Directory.Exists(resolved))
                sources.Add(new DataSource(resolved, weight, chosen) { Split = split, Subset = subset });
            else if (OfHub(values, setting, path, split, subset) is { } hub) sources.Add(hub with { Weight = weight, Columns = chosen });
        }
        return sources;
    }

    /// <summary>A path and the part of it that is asked for: <c>rows.jsonl[:10%]</c>, or <c>DIR/train[:10%]</c> where DIR is a folder with such a
    /// split.</summary>
    private static (string Path, string? Part) Part(string path)
    {
        if (DataNames.IsHere(path)) return (path, null);
        var bracket = path.IndexOf('[', StringComparison.Ordinal);
        var place = bracket > 0 ? path[..bracket] : path;
        if (bracket > 0 && DataNames.IsHere(place)) return (place, path[bracket..]);
        var slash = place.TrimEnd('/').LastIndexOf('/');
        return slash > 0 && Directory.Exists(path[..slash]) && System.IO.Path.GetExtension(place).Length == 0
            ? (path[..slash], path[(slash + 1)..].TrimEnd('/')) : (path, null);
    }

    /// <summary>A data set of the hub in the cache; a fault where neither that nor a file is there.</summary>
    private static DataSource? OfHub(SettingValues values, Setting setting, string path, string? split, string? subset)
    {
        string Fault() => $"{values.Origin(setting)} '{path}': no such file or folder; paths are taken from the current folder";
        if (!DataNames.IsHubName(path))
        {
            values.Fault(Fault());
            return null;
        }
        var cache = new HubCache(HubOptions.FromEnvironment().CacheFolder);
        var found = HubData.Find(path, cache)!;
        if (found.Split is not null && split is not null || found.Subset is not null && subset is not null)
            values.Fault($"{values.Origin(setting)} '{path}' names a part, and so "
                + $"does {(found.Split is not null && split is not null ? "split=" : "subset=")}; keep one");
        CheckSplit(values, setting, found.Split);
        if (found.Folder(cache) is { } folder)
            return new DataSource(folder) { Name = found.Name, Split = found.Split ?? split, Subset = found.Subset ?? subset };
        values.Fault($"{Fault()}; {DataNames.HowToGet(path)}");
        return null;
    }

    private static void CheckSplit(SettingValues values, Setting setting, string? split)
    {
        if (split is null) return;
        try
        {
            DataSource.CheckSplit(split);
        }
        catch (DataException fault)
        {
            values.Fault($"{values.Origin(setting)}: {fault.Message}");
        }
    }

    private static string ResolveDemo(string path, Demo demo)
    {
        if (path != "demo" || Directory.Exists(path)) return path;
        return demo == Demo.HeldOut ? Path.Combine(Embedded.DemoData, "valid.jsonl") : Embedded.DemoData;
    }

    private static (string Path, IEnumerable<KeyValuePair<string, string>> Pairs) Split(SettingItem item)
    {
        if (item.Pairs is not null) return (item.Text, item.Pairs);
        if (File.Exists(item.Text) || Directory.Exists(item.Text)) return (item.Text, []);
        var parts = item.Text.Split(',');
        var pairs = parts.Skip(1).Select(part => part.Split('=', 2)).ToList();
        return pairs.Any(pair => pair.Length < 2) ? (item.Text, []) : (parts[0], pairs.Select(pair => KeyValuePair.Create(pair[0], pair[1])));
    }
}
