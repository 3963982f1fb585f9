using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Trainer.Cli.Rendering;
using Trainer.Training.Options;
using Trainer.Training.Rollouts;

namespace Trainer.Cli.Commands;

/// <summary>What <c>--on-finish</c> names is run when a run has ended, however it ended: a message to a phone, a copy of the adapter.</summary>
internal static class FinishCommand
{
    // A notification that hangs must not hold the shell for ever.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    /// <param name="command">A line for the system's shell, or null for none.</param>
    /// <param name="run">The run folder.</param>
    /// <param name="state">done, interrupted or failed.</param>
    /// <param name="message">Why it ended.</param>
    /// <param name="exitCode">What the program answers.</param>
    /// <param name="terminal">Hears of a command that fails; the run's own outcome stays what it is.</param>
    public static void Run(string? command, string run, string state, string message, int exitCode, Terminal terminal)
    {
        if (command is null) return;
        var start = ShellCommand.Of(command);
        start.Environment["TRAINER_RUN"] = Path.GetFullPath(run);
        start.Environment["TRAINER_STATE"] = state;
        start.Environment["TRAINER_MESSAGE"] = message.ReplaceLineEndings(" ");
        start.Environment["TRAINER_EXIT_CODE"] = exitCode.ToString(CultureInfo.InvariantCulture);
        // stdout is for results: what the command says goes where progress goes.
        start.RedirectStandardOutput = true;
        try
        {
            using var process = Process.Start(start)!;
            process.OutputDataReceived += (_, line) =>
            {
                if (line.Data is not null) terminal.Error.WriteLine(line.Data);
            };
            process.BeginOutputReadLine();
            if (!process.WaitForExit(Limit))
                terminal.Error.WriteLine($"warning: --on-finish is still running after {Quantities.Duration(Limit.TotalSeconds)} and is left alone");
            else if (process.ExitCode != 0) terminal.Error.WriteLine($"warning: --on-finish ended with exit code {process.ExitCode}");
        }
        catch (Exception fault) when (fault is Win32Exception or IOException)
        {
            terminal.Error.WriteLine($"warning: --on-finish could not be started: {fault.Message.TrimEnd('.')}");
        }
    }
}
