namespace Trainer.Cli.CommandLine;

/// <summary>A command cannot do what it was asked; the message is for the user.</summary>
internal sealed class CommandFailedException(int exitCode, string message) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
