using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Adapters;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Atomic;
using Trainer.Checkpoints.Safetensors;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Machine;
using Trainer.Cli.Options;
using Trainer.Cli.Rendering;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Engine.Native;
using Trainer.Hub;
using Trainer.Models;
using Trainer.Models.Lora;
using Trainer.Templates;
using Trainer.Tokenizers;
using Trainer.Training;
using Trainer.Training.Options;
using Trainer.Training.Rollouts;

namespace Trainer.Cli;

/// <summary>What a fault is called and which exit code it has.</summary>
internal static class Failure
{
    /// <summary>What was said before the fault is said, unless saying it is the fault.</summary>
    public static void Flush(Terminal terminal)
    {
        try
        {
            terminal.Out.Flush();
        }
        catch (IOException)
        {
            // The fault that is reported next is this one, or a graver one.
        }
    }

    public static int Report(Exception fault, Terminal terminal, bool verbose)
    {
        var known = Unwrap(fault);
        if (known is RunInterruptedException stopped)
        {
            terminal.Error.WriteLine(stopped.Message);
            if (stopped.CheckpointDirectory is { } checkpoint && ResumeLine(checkpoint) is { } line) terminal.Error.WriteLine($"go on with: {line}");
            return stopped.ExitCode;
        }
        var (code, lines) = Describe(known);
        foreach (var line in lines) terminal.Error.WriteLine($"error: {line}");
        if (verbose) terminal.Error.WriteLine(fault.ToString());
        else if (code == ExitCode.OurFault && known is not (CommandFailedException or CollectiveException))
            terminal.Error.WriteLine("this is a fault of trainer itself; --verbose shows where it happened");
        return code;
    }

    /// <summary>Whether a fault is nothing but the end that was asked for, from however many threads.</summary>
    public static bool IsCancellation(Exception fault)
        => fault is OperationCanceledException || (fault is AggregateException all && all.InnerExceptions.All(IsCancellation));

    /// <summary>The exit code of a fault.</summary>
    public static int CodeOf(Exception fault) => Unwrap(fault) is RunInterruptedException stopped ? stopped.ExitCode : Describe(Unwrap(fault)).Code;

    /// <summary>The shortest line that goes on from a checkpoint, ready to be pasted; null where the run's folder holds no recipe.</summary>
    private static string? ResumeLine(string checkpoint)
    {
        var run = RunFolders.RunOf(checkpoint);
        return File.Exists(Path.Combine(run, RunFolders.Recipe)) ? ShellWord.Line(["trainer", "resume", run]) : null;
    }

    private static (int Code, IReadOnlyList<string> Lines) Describe(Exception fault) => fault switch
    {
        UsageException usage => (ExitCode.Usage, usage.Faults),
        CommandFailedException failed => (failed.ExitCode, [failed.Message]),
        AdapterOptionException or OptionException or DriftException => (ExitCode.Usage, [OneLine(fault.Message)]),
        BadFileException or ModelException or AdapterException or DataException or TokenizerException or TemplateException or ImplausibleLossException =>
            (ExitCode.BadData, [OneLine(fault.Message)]),
        RewardException reward => (reward.IsBadAnswer ? ExitCode.BadData : ExitCode.Missing, [OneLine(fault.Message)]),
        NonFiniteException => (ExitCode.NonFinite, [OneLine(fault.Message)]),
        PlanRefusedException => (ExitCode.PlanRefused, [OneLine(fault.Message)]),
        MemoryLimitException => (ExitCode.OutOfMemory, [OneLine(fault.Message)]),
        CollectiveException => (ExitCode.OurFault, [OneLine(fault.Message)]),
        NotAvailableException or MissingLibraryException or DeviceException => (ExitCode.Missing, [OneLine(fault.Message)]),
        // TorchSharp cannot find its library or the library cannot be loaded: the system's own reason, not TorchSharp's guess.
        _ when IsNative(fault) && NativeLibraries.Fault() is { } reason => (ExitCode.Missing, [reason]),
        // A card's memory is libtorch's own, and so is the word for its end.
        _ when DeviceMemoryException.Is(fault) => (ExitCode.OutOfMemory,
            [$"out of the device's memory: {DeviceMemoryException.Clause(fault)}; take a smaller --batch-size or --max-seq-length, or a 4-bit base"]),
        _ when DeviceException.Is(fault) => (ExitCode.Missing, [$"the device failed: {DeviceException.Clause(fault)}"]),
        OutOfMemoryException => (ExitCode.OutOfMemory, ["out of memory; 'trainer plan' with the same options tells what would fit"]),
        OperationCanceledException => (ExitCode.Interrupted, ["interrupted"]),
        // What System.Text.Json says of a string of a file that is not valid Unicode, when it is read.
        InvalidOperationException when fault.Message.Contains("JSON text", StringComparison.Ordinal) =>
            (ExitCode.BadData, [$"a JSON file holds text that is not valid Unicode ({Lower(fault.Message)}); copy or download it again"]),
        // What reading a damaged file raises where nothing nearer has named it.
        JsonException or InvalidDataException or DecoderFallbackException or EncoderFallbackException or RegexMatchTimeoutException =>
            (ExitCode.BadData, [$"a file cannot be read: {Lower(fault.Message)}; copy or download it again"]),
        IOException when fault.Message.Contains("Too many open files", StringComparison.Ordinal) =>
            (ExitCode.Missing, ["too many open files for this system's limit; raise it with 'ulimit -n 1024'"]),
        CannotWriteException => (ExitCode.CannotWrite, [OneLine(fault.Message)]),
        FileNotFoundException or FileLoadException
            when IsAssembly(fault) => (ExitCode.Missing,
                [$"a part of the program cannot be loaded ({Lower(fault.Message)}): this system allows too few open files (raise it with 'ulimit -n 1024'), "
                + "or the installation is incomplete; install trainer again"]),
        _ when WriteFault.IsTooLarge(fault) => (ExitCode.CannotWrite,
            ["cannot write: a file would be larger than its file system or 'ulimit -f' allows; raise the limit or choose another folder"]),
        UnauthorizedAccessException or IOException => (ExitCode.CannotWrite, [Lower(fault.Message)]),
        _ => (ExitCode.OurFault, [$"{fault.GetType().Name}: {OneLine(fault.Message)}"]),
    };

    private static bool IsNative(Exception fault)
        => fault is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException
            || (fault is NotSupportedException && fault.Message.Contains("TorchSharp", StringComparison.Ordinal));

    private static bool IsAssembly(Exception fault)
        => (fault as FileNotFoundException)?.FileName?.Contains("PublicKeyToken", StringComparison.Ordinal) == true || fault is FileLoadException;

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
