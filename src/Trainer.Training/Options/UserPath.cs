namespace Trainer.Training.Options;

/// <summary>Paths as people write them in recipes and quotes, where no shell has read them.</summary>
public static class UserPath
{
    /// <summary>A leading <c>~</c> becomes the home folder; anything else stays.</summary>
    /// <param name="path">As it was written.</param>
    public static string Expand(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path != "~" && !path.StartsWith("~/", StringComparison.Ordinal)) return path;
        var home = Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } named ? named : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return home.Length == 0 ? path : path.Length == 1 ? home : Path.Combine(home, path[2..].TrimStart('/'));
    }
}
