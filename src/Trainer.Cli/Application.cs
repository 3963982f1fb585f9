using System.Runtime.InteropServices;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Commands;
using Trainer.Cli.Machine;
using Trainer.Cli.Rendering;
using Trainer.Distributed;
using Trainer.Engine.Native;
using Trainer.Training.Options;

namespace Trainer.Cli;

/// <summary>From words to an exit code: parse, run, say what went wrong.</summary>
internal static class Application
{
    // What recursion over nested input may take, whatever `ulimit -s` leaves the first thread.
    private const int StackBytes = 16 << 20;

    // SIGXFSZ, on Linux and macOS alike.
    private const PosixSignal FileTooLarge = (PosixSignal)25;

    public static int Run(string[] words)
    {
        ProgramClock.Enter();
        OpenMp.Prepare();
        // Launchers give ranks a terminal of their own making; what .NET sends to one would stand in the launcher's output.
        if (Launcher.Find() is { Size: > 1 }) Environment.SetEnvironmentVariable("TERM", "dumb");
        // A write beyond `ulimit -f` is then a fault that is told, and not the process's end.
        using var tooLarge = OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create(FileTooLarge, static context => context.Cancel = true);
        var code = ExitCode.OurFault;
        var thread = new Thread(() => code = RunOrSay(words), StackBytes);
        thread.Start();
        thread.Join();
        return code;
    }

    /// <summary>The last resort: where not even the code that names faults can be loaded, the system's own words are all there is.</summary>
    private static int RunOrSay(string[] words)
    {
        try
        {
            return RunHere(words);
        }
        catch (Exception fault)
        {
            var isMissing = fault is FileNotFoundException or FileLoadException or DllNotFoundException;
            Console.Error.WriteLine(isMissing
                ? "error: a part of the program cannot be loaded: this system allows too few open files (raise it with 'ulimit -n 1024'), or the installation "
                    + "is incomplete; install trainer again"
                : $"error: {fault.GetType().Name}: {fault.Message.ReplaceLineEndings(" ")}");
            return isMissing ? ExitCode.Missing : ExitCode.OurFault;
        }
    }

    private static int RunHere(string[] words)
    {
        var terminal = Terminal.Detect();
        var verbose = words.Any(word => word is "--verbose" or "-v");
        try
        {
            var code = Dispatch(words, terminal);
            terminal.Out.Flush();
            return code;
        }
        catch (Exception fault)
        {
            Failure.Flush(terminal);
            return Failure.Report(fault, terminal, verbose);
        }
    }

    private static int Dispatch(string[] words, Terminal terminal)
    {
        var root = AllCommands.Root;
        if (words is ["--version"] or ["version"])
        {
            terminal.Out.WriteLine($"trainer {typeof(Application).Assembly.GetName().Version!.ToString(3)}");
            return ExitCode.Done;
        }
        if (words is ["help", .. var about]) words = [.. about, "--help"];
        var parsed = new CommandTree(root).Parse(words);
        if (parsed.WantsHelp || (parsed.Spec.Subcommands.Count > 0 && words.Length == parsed.Path.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length))
        {
            terminal.Out.Raw.Write(HelpWriter.Write(parsed.Spec, parsed.Path, terminal.Width, terminal.HasColour && terminal.OutIsTerminal));
            return parsed.WantsHelp || parsed.Path.Length == 0 ? ExitCode.Done : ExitCode.Usage;
        }
        var values = new SettingValues(parsed.Values);
        var libtorch = values.Text(CommonSettings.Libtorch);
        values.ThrowIfFaulty();
        ProgramLinks.Enter(libtorch);
        using var stop = new StopSignal(text => terminal.Error.WriteLine(text));
        try
        {
            return parsed.Spec.Run(new Invocation(parsed.Spec, values,
                parsed.Spec.TakesPaths ? [.. parsed.Positionals.Select(UserPath.Expand)] : parsed.Positionals, terminal, stop));
        }
        catch (Exception fault) when (stop.ExitCode is not null && Failure.IsCancellation(fault))
        {
            terminal.Error.WriteLine("interrupted");
            return stop.ExitCode.Value;
        }
    }
}
