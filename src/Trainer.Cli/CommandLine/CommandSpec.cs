using Trainer.Training.Options;

namespace Trainer.Cli.CommandLine;

/// <summary>One command: what help, completion, documentation and the parser all read.</summary>
internal sealed record CommandSpec(string Name, string Summary, Func<Invocation, int> Run)
{
    /// <summary>A paragraph for the command's own help.</summary>
    public string Description { get; init; } = "";

    /// <summary>Positional words as shown in the usage line, such as <c>FILE</c> or <c>RUN...</c>; empty for none.</summary>
    public string Positional { get; init; } = "";

    /// <summary>What the positional words are.</summary>
    public string PositionalHelp { get; init; } = "";

    /// <summary>Whether positional words are paths, or may be: all but texts.</summary>
    public bool TakesPaths => Positional is not ("[PROMPT]" or "[TEXT]");

    /// <summary>Most positional words taken.</summary>
    public int MaxPositionals { get; init; }

    public IReadOnlyList<Setting> Settings { get; init; } = [];

    /// <summary>Command lines to paste, each with a remark.</summary>
    public IReadOnlyList<(string Line, string Remark)> Examples { get; init; } = [];

    /// <summary>Heading of the command in the list of commands.</summary>
    public string Group { get; init; } = "";

    /// <summary>Commands below this one, such as <c>data show</c>.</summary>
    public IReadOnlyList<CommandSpec> Subcommands { get; init; } = [];
}
