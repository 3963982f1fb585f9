using System.IO.Compression;
using System.Text.Json;
using Trainer.Tokenizers;

namespace Trainer.Ground.Tests.Tokenizers;

/// <summary>Finds the reference data: small files in the repository, large ones in a folder "shared" beside it.</summary>
internal static class GoldenFiles
{
    public static string Root { get; } = FindRoot();

    public static string Fixtures { get; } = Path.Combine(Root, "tests", "fixtures", "tokenizers");

    public static string Shared { get; } = Path.Combine(Root, "..", "shared", "golden", "tokenization");

    public static byte[] Unzip(string path)
    {
        using var stream = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        return memory.ToArray();
    }

    public static JsonElement Json(string path)
        => JsonDocument.Parse(path.EndsWith(".gz", StringComparison.Ordinal) ? Unzip(path) : File.ReadAllBytes(path)).RootElement;

    public static Dictionary<string, string> Strings { get; } = Json(Path.Combine(Fixtures, "strings-a.json.gz")).EnumerateArray()
        .ToDictionary(item => item.GetProperty("id").GetString()!, item => Text(item.GetProperty("text")));

    public static string WellFormed(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));

    public static int[] Ints(JsonElement list) => list.EnumerateArray().Select(item => item.GetInt32()).ToArray();

    public static string FolderOf(string name)
    {
        var own = Path.Combine(Fixtures, name);
        return Directory.Exists(own) ? own : Path.Combine(Shared, "tokenizers", name);
    }

    public static HfTokenizer Load(string name)
    {
        var folder = FolderOf(name);
        Skip.IfNot(Directory.Exists(folder), $"no {folder}: the large reference files are not part of the repository");
        var config = Path.Combine(folder, "tokenizer_config.json.gz");
        return HfTokenizer.FromJson(Unzip(Path.Combine(folder, "tokenizer.json.gz")), name, File.Exists(config) ? Unzip(config) : null);
    }

    // Lone surrogates are written as \uD800 and the like, which GetString refuses.
    private static string Text(JsonElement element)
    {
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            var raw = element.GetRawText();
            return System.Text.RegularExpressions.Regex.Replace(raw[1..^1], @"\\u([0-9a-fA-F]{4})|\\(.)", match => match.Groups[1].Success
                ? ((char)Convert.ToInt32(match.Groups[1].Value, 16)).ToString()
                : match.Groups[2].Value switch { "n" => "\n", "r" => "\r", "t" => "\t", "b" => "\b", "f" => "\f", var other => other });
        }
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Trainer.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("the tests run outside the repository");
    }
}
