namespace Trainer.Training.Options;

/// <summary>The chat templates that come with the program, by name: for base models, and for models whose own template cannot be trained on.</summary>
public static class NamedTemplates
{
    private const string Ending = ".jinja";

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "configs", "templates");

    /// <summary>The names.</summary>
    public static IReadOnlyList<string> Names =>
        Directory.Exists(Folder)
        ? [.. Directory.GetFiles(Folder, "*" + Ending).Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal)] : [];

    /// <summary>The file of a name (llama3, also written llama-3 or Llama_3), or null where there is none of that name.</summary>
    public static string? Find(string name)
    {
        var plain = name.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();
        return Names.Contains(plain) ? Path.Combine(Folder, plain + Ending) : null;
    }

    /// <summary>What a recipe holds for a file: the name, where it is one of these.</summary>
    public static string? NameOf(string? file) => file is not null && Path.GetDirectoryName(file) == Folder ? Path.GetFileNameWithoutExtension(file) : file;

    /// <summary>A file that is there, or one of the named ones; a fault otherwise.</summary>
    internal static string? Read(SettingValues values, Setting setting)
    {
        if (values.Text(setting) is not { } text) return null;
        if (File.Exists(text))
        {
            Checkpoints.Atomic.RegularFile.Require(text);
            return text;
        }
        if (Find(text) is { } named) return named;
        values.Fault($"{values.Origin(setting)} '{text}': no such file, and no template of that name; the named ones are {string.Join(", ", Names)}");
        return text;
    }
}
