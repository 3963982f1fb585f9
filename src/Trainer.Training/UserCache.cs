namespace Trainer.Training;

/// <summary>Where the program keeps what it can make again: <c>TRAINER_CACHE</c>, else <c>XDG_CACHE_HOME/trainer</c>, else <c>~/.cache/trainer</c>.</summary>
public static class UserCache
{
    /// <summary>The folder; it may not exist yet.</summary>
    public static string Folder
    {
        get
        {
            if (Environment.GetEnvironmentVariable("TRAINER_CACHE") is { Length: > 0 } given) return Path.GetFullPath(given);
            var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } xdg && Path.IsPathRooted(xdg)
                ? xdg
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Path.Combine(cache, "trainer");
        }
    }

    /// <summary>The folder of tokenized data.</summary>
    public static string Tokens => Path.Combine(Folder, "tokens");
}
