using System.Xml.Linq;

namespace Trainer.Architecture.Tests;

/// <summary>The working tree as the tests read it: project files, source files and the texts beside them.</summary>
internal static class Repository
{
    /// <summary>The folder that holds Trainer.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The csproj files below a top-level folder.</summary>
    public static IEnumerable<string> Projects(string folder)
        => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories).Order(StringComparer.Ordinal);

    /// <summary>The C# files below a top-level folder, build output left out.</summary>
    public static IEnumerable<string> Sources(string folder)
        => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(static path => !Relative(path).Split('/').Any(static part => part is "obj" or "bin"))
            .Order(StringComparer.Ordinal);

    /// <summary>A path as people read it: from the root, with forward slashes.</summary>
    public static string Relative(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    /// <summary>Our projects that a project file references, by name.</summary>
    public static string[] ProjectReferences(string project)
        => [.. XDocument.Load(project).Descendants("ProjectReference")
            .Select(static reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')))];

    /// <summary>The packages that a project file references.</summary>
    public static string[] PackageReferences(string project)
        => [.. XDocument.Load(project).Descendants("PackageReference").Select(static reference => reference.Attribute("Include")!.Value)];

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Trainer.sln"))) folder = folder.Parent;
        return folder?.FullName
            ?? throw new InvalidOperationException("the tests run outside the repository: no Trainer.sln above " + AppContext.BaseDirectory);
    }
}
