namespace Trainer.Checkpoints;

/// <summary>Names of files that come from files: made into paths only when they stay inside their folder.</summary>
internal static class FolderPath
{
    private const int MaxLinks = 40;

    /// <summary>
    /// The path of a file named by data. The name must be plain (no separator, not rooted, no ".."), and where it is a link the link must end
    /// inside the folder, or, in a Hugging Face cache, in the blobs beside its snapshots.
    /// </summary>
    internal static string Inside(string folder, string name, string what)
    {
        if (name.Length == 0 || name is "." or ".." || name.AsSpan().IndexOfAny("/\\:\0") >= 0 || Path.IsPathRooted(name))
        {
            throw new BadFileException($"{what} in '{folder}' is called '{name}', which is not the plain name of a file in it; refusing to look elsewhere");
        }
        string path = Path.Combine(folder, name);
        string root = Real(folder), target = Real(path);
        if (IsBelow(target, root))
        {
            return path;
        }
        string? snapshots = Path.GetDirectoryName(root);
        if (snapshots is not null && Path.GetFileName(snapshots) == "snapshots" && IsBelow(target, Real(Path.Combine(Path.GetDirectoryName(snapshots)!, "blobs"))))
        {
            return path;
        }
        throw new BadFileException($"{what} '{name}' in '{folder}' is a link to '{target}', outside the folder; copy the file itself into the folder");
    }

    /// <summary>The path with every link followed, the missing tail kept.</summary>
    internal static string Real(string path)
    {
        string full = Path.GetFullPath(path);
        for (int links = 0; links <= MaxLinks; links++)
        {
            string? next = FollowFirst(full);
            if (next is null)
            {
                return full;
            }
            full = next;
        }
        throw new BadFileException($"'{path}' goes through more than {MaxLinks} links; remove the circle");
    }

    private static string? FollowFirst(string full)
    {
        string root = Path.GetPathRoot(full)!;
        string[] parts = full[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries);
        string walked = root;
        for (int i = 0; i < parts.Length; i++)
        {
            string parent = walked;
            walked = Path.Combine(walked, parts[i]);
            string? target = new FileInfo(walked).LinkTarget;
            if (target is not null)
            {
                return Path.GetFullPath(Path.Combine([Path.Combine(parent, target), .. parts[(i + 1)..]]));
            }
        }
        return null;
    }

    private static bool IsBelow(string path, string folder) => path.StartsWith(folder.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
}
