using Trainer.Cli.CommandLine;
using Trainer.Cli.Commands;
using Trainer.Cli.Rendering;
using Trainer.Distributed;
using Trainer.Engine.Native;

namespace Trainer.Cli;

/// <summary>From words to an exit code: parse, run, say what went wrong.</summary>
internal static class Application
{
    public static int Run(string[] words)
    {
        OpenMp.WaitPassively();
        // Launchers give ranks a terminal of their own making; what .NET sends to one would stand in the launcher's output.
        if (Launcher.Find() is { Size: > 1 }) Environment.SetEnvironmentVariable("TERM", "dumb");
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
        using var stop = new StopSignal(text => terminal.Error.WriteLine(text));
        try
        {
            return parsed.Spec.Run(new Invocation(parsed.Spec, new SettingValues(parsed.Values), parsed.Positionals, terminal, stop));
        }
        catch (Exception fault) when (stop.ExitCode is not null && Failure.IsCancellation(fault))
        {
            terminal.Error.WriteLine("interrupted");
            return stop.ExitCode.Value;
        }
    }
}
