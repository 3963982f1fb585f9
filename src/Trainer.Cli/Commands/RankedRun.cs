using Trainer.Cli.CommandLine;
using Trainer.Distributed;
using Trainer.Training;

namespace Trainer.Cli.Commands;

/// <summary>Runs a command on one or several ranks so that all of them end together: with one message and one exit code.</summary>
internal static class RankedRun
{
    // A fault that all ranks meet is told by rank 0, whose abort ends the others before their turn comes.
    private static readonly TimeSpan TurnOfRankZero = TimeSpan.FromSeconds(1.5);

    // Hydra drops what a rank wrote just before it aborted.
    private static readonly TimeSpan UntilPrinted = TimeSpan.FromMilliseconds(50);

    /// <summary>Runs the body; a rank that fails ends the job.</summary>
    /// <param name="invocation">Terminal and signals.</param>
    /// <param name="ranks">The ranks; disposed when all are done.</param>
    /// <param name="directory">Where a failed rank leaves rank-N.error.</param>
    /// <param name="body">The command.</param>
    public static int Run(Invocation invocation, ICollective ranks, string directory, Func<int> body)
    {
        if (ranks.Size == 1) return body();
        try
        {
            var code = body();
            ranks.Dispose();
            return ranks.Rank == 0 ? code : ExitCode.Done;
        }
        catch (RunInterruptedException)
        {
            // All ranks stopped after the same step; rank 0 has written its checkpoint, and its code is the run's.
            ranks.Dispose();
            if (ranks.Rank != 0) return ExitCode.Done;
            throw;
        }
#pragma warning disable CA1031 // whatever it is: an exception that left here would leave the other ranks waiting
        catch (Exception fault)
#pragma warning restore CA1031
        {
            if (ranks.Rank != 0) Thread.Sleep(TurnOfRankZero);
            invocation.Terminal.Error.WriteLine($"rank {ranks.Rank} of {ranks.Size} on {Environment.MachineName} failed and ends the run:");
            var code = Failure.Report(fault, invocation.Terminal, invocation.Verbose);
            Leave(directory, ranks.Rank, fault);
            Thread.Sleep(UntilPrinted);
            ranks.Abort(code);
            return code;
        }
    }

    private static void Leave(string directory, int rank, Exception fault)
    {
        if (!Directory.Exists(directory)) return;
        try
        {
            File.WriteAllText(Path.Combine(directory, $"rank-{rank}.error"), fault + "\n");
        }
        catch (Exception failed) when (Checkpoints.Atomic.WriteFault.Covers(failed))
        {
            // The message on the terminal says the same.
        }
    }
}
