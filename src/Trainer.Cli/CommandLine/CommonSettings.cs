using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>Settings that many commands share.</summary>
internal static class CommonSettings
{
    private const string General = "General";

    public static readonly Setting Json = new("json", SettingKind.Flag, General, "Answer with one JSON document on stdout, keys in snake_case.");
    public static readonly Setting Libtorch = new("libtorch", SettingKind.Folder, General,
        "Compute with the libtorch of another folder (torch/lib of a pip install), which may know a graphics processor; its version must be this program's.")
    { Value = "DIR", DefaultNote = "TRAINER_LIBTORCH, or its own" };

    public static readonly Setting Verbose = new("verbose", SettingKind.Flag, General, "Say more, and show the stack of an error.") { Short = "-v" };
    public static readonly Setting Quiet = new("quiet", SettingKind.Flag, General, "Say nothing but results, warnings and errors.") { Short = "-q" };
    public static readonly Setting Help = new("help", SettingKind.Flag, General, "Show this text.") { Short = "-h" };

    public static readonly IReadOnlyList<Setting> Everywhere = [Verbose, Quiet, Help];
}
