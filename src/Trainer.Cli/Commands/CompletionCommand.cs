using Trainer.Cli.CommandLine;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer completion</c>: a script that makes the shell complete commands, options and choices.</summary>
internal static class CompletionCommand
{
    private static readonly string[] Shells = ["bash", "zsh", "fish"];

    public static readonly CommandSpec Spec = new("completion", "Print a completion script for bash, zsh or fish.", Run)
    {
        Group = "Machine",
        Positional = "SHELL",
        PositionalHelp = "bash, zsh or fish.",
        MaxPositionals = 1,
        Examples = [("source <(trainer completion bash)", "in ~/.bashrc"), ("trainer completion fish | source", "in ~/.config/fish/config.fish")],
    };

    private static int Run(Invocation invocation)
    {
        var shell = invocation.Positionals.Count > 0 ? invocation.Positionals[0] : "";
        invocation.Terminal.Out.Write(shell switch
        {
            "bash" => Completion.Bash(AllCommands.Root),
            "zsh" => Completion.Zsh(AllCommands.Root),
            "fish" => Completion.Fish(AllCommands.Root),
            _ => throw new UsageException($"'{shell}' is not one of bash, zsh, fish"
                + (DidYouMean.Nearest(shell, Shells) is { } near ? $"; did you mean '{near}'?" : "")),
        });
        return ExitCode.Done;
    }
}
