namespace Trainer.Checkpoints.Atomic;

/// <summary>Paths as the disk has them, and names that come from files: made into paths only when they stay inside their folder.</summary>
public static class FolderPath
{
    private const int MaxLinks = 40;

    /// <summary>
    /// The path of a file named by data. The name must be plain (no separator, not rooted, no ".."), and where it is a link the link must end
    /// inside the folder, in the blobs of a Hugging Face cache, or at a file of the same kind: a link that calls a key file a template is no template.
    /// </summary>
    internal static string Inside(string folder, string name, string what)
    {
        if (name.Length == 0 || name is "." or ".." || name.AsSpan().IndexOfAny("/\\:\0") >= 0 || Path.IsPathRooted(name))
            throw new BadFileException($"{what} in '{folder}' is called '{name}', which is not the plain name of a file in it; refusing to look elsewhere");
        var path = Path.Combine(folder, name);
        string root = Real(folder), target = Real(path);
        if (IsBelow(target, root)) return path;
        // Folders that snapshot_download(local_dir=...) made link to the cache wherever it is; large files are linked by hand too.
        var home = Path.GetDirectoryName(target);
        var isBlob = home is not null && Path.GetFileName(home) == "blobs" && Directory.Exists(Path.Combine(Path.GetDirectoryName(home)!, "snapshots"));
        var isSameKind = Path.HasExtension(name) && Path.GetExtension(target).Equals(Path.GetExtension(name), StringComparison.OrdinalIgnoreCase);
        if (isBlob || isSameKind) return path;
        throw new BadFileException($"{what} '{name}' in '{folder}' is a link to '{target}', which is no file of this kind; copy the file itself into the "
            + "folder");
    }

    /// <summary>Whether two names are of one place: a slash at the end, a link or a way around changes nothing.</summary>
    public static bool AreSame(string first, string second) => Real(first) == Real(second);

    /// <summary>The path with every link followed and without a slash at its end, the missing tail kept.</summary>
    /// <exception cref="BadFileException">The links go in a circle.</exception>
    public static string Real(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        for (var links = 0; links <= MaxLinks; links++)
        {
            var next = FollowFirst(full);
            if (next is null) return full;
            full = next;
        }
        throw new BadFileException($"'{path}' goes through more than {MaxLinks} links; remove the circle");
    }

    private static string? FollowFirst(string full)
    {
        var root = Path.GetPathRoot(full)!;
        var parts = full[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries);
        var walked = root;
        for (var i = 0; i < parts.Length; i++)
        {
            var parent = walked;
            walked = Path.Combine(walked, parts[i]);
            var target = new FileInfo(walked).LinkTarget;
            if (target is not null)
                return Path.GetFullPath(Path.Combine([Path.Combine(parent, target), .. parts[(i + 1)..]]));
        }
        return null;
    }

    private static bool IsBelow(string path, string folder)
        => path.StartsWith(folder.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
}
