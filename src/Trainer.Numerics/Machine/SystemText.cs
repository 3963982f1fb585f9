namespace Trainer.Numerics.Machine;

/// <summary>What the system tells in small files; a sandbox may hide any of it.</summary>
internal static class SystemText
{
    /// <summary>The text of a file without the space around it; null where it is not there or may not be read.</summary>
    public static string? Of(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path).Trim() : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
