namespace Trainer.Cli.Options;

/// <summary>The recipes that come with the program, found wherever it is installed.</summary>
internal static class ShippedRecipes
{
    private static string Folder => Path.Combine(AppContext.BaseDirectory, "configs");

    /// <summary>Their names, without folder and ending.</summary>
    public static IReadOnlyList<string> Names =>
        Directory.Exists(Folder)
        ? [.. Directory.EnumerateFiles(Folder, "*.yaml").Select(path => Path.GetFileNameWithoutExtension(path)!).Order(StringComparer.Ordinal)] : [];

    /// <summary>The file of a recipe by its name, with or without <c>configs/</c> and <c>.yaml</c>; null where there is none.</summary>
    public static string? Find(string name)
    {
        if (Path.GetDirectoryName(name) is not ("" or "configs")) return null;
        var found = Path.Combine(Folder, Path.GetFileNameWithoutExtension(name) + ".yaml");
        return Path.GetExtension(name) is "" or ".yaml" or ".yml" && File.Exists(found) ? found : null;
    }

    /// <summary>Title and needs, as the first lines of a recipe tell them.</summary>
    public static (string Title, string Needs) About(string path)
    {
        var lines = File.ReadLines(path).TakeWhile(line => line.StartsWith('#')).Select(line => line.TrimStart('#', ' ')).ToList();
        return (lines.FirstOrDefault("").TrimEnd(':',
            '.'), lines.FirstOrDefault(line => line.StartsWith("Needs: ", StringComparison.Ordinal))?["Needs: ".Length..] ?? "");
    }
}
