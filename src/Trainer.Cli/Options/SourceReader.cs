using System.Globalization;
using Trainer.Cli.CommandLine;
using Trainer.Data;

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
            foreach (var (key, value) in pairs)
            {
                if (key != "weight") columns[key] = value;
                else if (!double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out weight) || !double.IsFinite(weight) || weight <= 0)
                    values.Fault($"weight '{value}' of {values.Origin(setting)} '{path}' is not a number above 0");
            }
            if (path.Length == 0) continue;
            var resolved = ResolveDemo(path, demo);
            if (!File.Exists(resolved) && !Directory.Exists(resolved)) values.Fault($"{values.Origin(setting)} '{path}': no such file or folder; paths are taken from the current folder{(DataNames.IsHubName(path) ? "; " + DataNames.HowToGet(path) : "")}");
            else sources.Add(new DataSource(resolved, weight, columns.Count > 0 ? columns : null));
        }
        return sources;
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
