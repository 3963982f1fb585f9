using Trainer.Cli.Rendering;
using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>One call of a command: its settings, positional words, terminal and the wish to stop.</summary>
internal sealed record Invocation(CommandSpec Command, SettingValues Values, IReadOnlyList<string> Positionals, Terminal Terminal, StopSignal Stop)
{
    /// <summary>The word behind the command, or null.</summary>
    public string? Word => Positionals.Count > 0 ? Positionals[0] : null;

    public bool Json => Values.Flag(CommonSettings.Json) ?? false;
    public bool Verbose => Values.Flag(CommonSettings.Verbose) ?? false;
    public bool Quiet => Values.Flag(CommonSettings.Quiet) ?? false;
}
