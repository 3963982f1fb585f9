namespace Trainer.Cli.Options;

/// <summary>Tells a data set's name on a hub from a file that is only not here.</summary>
internal static class DataNames
{
    private static readonly string[] Extensions = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".gz"];

    public static bool IsHere(string path) => path is "demo" || File.Exists(path) || Directory.Exists(path);

    /// <summary>Such as <c>tatsu-lab/alpaca</c> or <c>imdb</c>: at most one slash, no ending of a file, nothing of a path.</summary>
    public static bool IsHubName(string path) =>
        !IsHere(path) && path.Count(letter => letter == '/') <= 1 && path[0] is not ('/' or '.' or '~') && path[^1] != '/' && !Extensions.Any(ending => path.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

    /// <summary>How a data set of a hub becomes a file.</summary>
    public static string HowToGet(string name) =>
        $"a data set of a hub is fetched with 'hf download --repo-type dataset {name} --local-dir data/{name[(name.LastIndexOf('/') + 1)..]}' or in a browser, and its .jsonl, .json, .csv or .parquet file named";
}
