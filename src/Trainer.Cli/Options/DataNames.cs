using Trainer.Hub;

namespace Trainer.Cli.Options;

/// <summary>Tells a data set's name on a hub from a file that is only not here.</summary>
internal static class DataNames
{
    private static readonly string[] Extensions = [".jsonl", ".ndjson", ".jsonlines", ".json", ".csv", ".tsv", ".parquet", ".txt", ".gz", ".zst"];

    public static bool IsHere(string path) => path is "demo" || File.Exists(path) || Directory.Exists(path);

    /// <summary>Such as <c>tatsu-lab/alpaca</c>, <c>imdb</c> or <c>org/set:small/train[:10%]</c>: no ending of a file, nothing of a path.</summary>
    public static bool IsHubName(string path) =>
        path.Length > 0 && !IsHere(path) && path[0] is not ('/' or '.' or '~') && path[^1] != '/'
        && !Extensions.Any(ending => path.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
        && HubData.Find(path, new HubCache("")) is not null;

    /// <summary>How a data set of a hub comes here.</summary>
    public static string HowToGet(string name) => $"if a data set of the hub is meant, type: trainer download --dataset {name}";
}
