using System.Reflection;

namespace Trainer.Training;

/// <summary>Which build of the program this is. Two builds of one version may compute differently; the version alone stands where a build does not say what
/// it is of.</summary>
internal static class BuildName
{
    /// <summary>The name.</summary>
    public static string Value { get; } = typeof(BuildName).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? typeof(BuildName).Assembly.GetName().Version!.ToString();
}
