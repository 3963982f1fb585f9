namespace Trainer.Training.Options;

/// <summary>Paths as people write them in recipes and quotes, where no shell has read them.</summary>
public static class UserPath
{
    /// <summary>A leading <c>~</c> becomes the home folder; anything else stays.</summary>
    /// <param name="path">As it was written.</param>
    /// <exception cref="UsageException">It begins in the home folder of another user, which is not known here.</exception>
    public static string Expand(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path.Length == 0 || path[0] != '~') return path;
        var first = path.Split('/', Path.DirectorySeparatorChar)[0];
        if (first.Length > 1)
        {
            if (Path.Exists(first)) return path;
            throw new UsageException($"'{path}': {first} would be the home folder of another user, and only ~ alone is known; write the folder out, or "
                + $"./{path} for one of that name");
        }
        var home = Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } named
            ? named : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return home.Length == 0 ? path : path.Length == 1 ? home : Path.Combine(home, path[2..].TrimStart('/', Path.DirectorySeparatorChar));
    }
}
