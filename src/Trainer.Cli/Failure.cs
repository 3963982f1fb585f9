using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Hub;
using Trainer.Models;

namespace Trainer.Cli;

/// <summary>What a fault is called and which exit code it has.</summary>
internal static class Failure
{
    public static int Report(Exception fault, Terminal terminal, bool verbose)
    {
        var known = Unwrap(fault);
        var (code, lines) = Describe(known);
        foreach (var line in lines) terminal.Error.WriteLine($"error: {line}");
        if (verbose) terminal.Error.WriteLine(fault.ToString());
        else if (code == ExitCode.OurFault && known is not CommandFailedException) terminal.Error.WriteLine("this is a fault of trainer itself; --verbose shows where it happened");
        return code;
    }

    private static (int Code, IReadOnlyList<string> Lines) Describe(Exception fault) => fault switch
    {
        UsageException usage => (ExitCode.Usage, usage.Faults),
        CommandFailedException failed => (failed.ExitCode, [failed.Message]),
        AdapterOptionException => (ExitCode.Usage, [OneLine(fault.Message)]),
        BadFileException or ModelException or AdapterException or DataException => (ExitCode.BadData, [OneLine(fault.Message)]),
        NotAvailableException => (ExitCode.Missing, [OneLine(fault.Message)]),
        OutOfMemoryException => (ExitCode.OutOfMemory, ["out of memory; 'trainer plan' with the same options tells what would fit"]),
        OperationCanceledException => (ExitCode.Interrupted, ["interrupted"]),
        CannotWriteException => (ExitCode.CannotWrite, [OneLine(fault.Message)]),
        UnauthorizedAccessException or IOException => (ExitCode.CannotWrite, [Lower(fault.Message)]),
        _ => (ExitCode.OurFault, [$"{fault.GetType().Name}: {OneLine(fault.Message)}"]),
    };

    /// <summary>Static constructors and parallel loops wrap what happened in them.</summary>
    private static Exception Unwrap(Exception fault) => fault switch
    {
        TypeInitializationException { InnerException: { } inner } => Unwrap(inner),
        AggregateException { InnerExceptions.Count: 1, InnerException: { } inner } => Unwrap(inner),
        _ => fault,
    };

    private static string OneLine(string text) => text.ReplaceLineEndings(" ").Trim();

    private static string Lower(string text) => OneLine(text).TrimEnd('.') is { Length: > 0 } line ? char.ToLowerInvariant(line[0]) + line[1..] : text;
}
