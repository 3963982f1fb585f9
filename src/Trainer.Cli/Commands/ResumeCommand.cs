using Trainer.Cli.CommandLine;
using Trainer.Cli.Reports;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer resume</c>: go on with a run by its folder alone.</summary>
internal static class ResumeCommand
{
    public static readonly CommandSpec Spec = new("resume", "Go on with a run that was stopped.", Run)
    {
        Group = "Train",
        Description = "Takes everything from the run folder; options given here win over it, such as --max-steps to train on. The same as 'trainer train "
            + "--resume RUN'. Without RUN, the newest run below runs/ that was stopped.",
        Positional = "[RUN]",
        PositionalHelp = "A run folder, or a checkpoint in it.",
        MaxPositionals = 1,
        Settings = [.. TrainSettings.All.Where(setting => setting != RunSettings.Resume && setting != RunSettings.Config), CommonSettings.Libtorch,
            CommonSettings.Json],
        Examples = [("trainer resume runs/first", ""), ("trainer resume runs/first --max-steps 2000", "more steps than were asked for")],
    };

    private static int Run(Invocation invocation)
    {
        var run = invocation.Positionals.Count > 0 ? invocation.Positionals[0] : Newest();
        if (!Directory.Exists(run)) throw new UsageException($"'{run}': no such run folder; 'trainer runs' lists them");
        if (invocation.Positionals.Count == 0 && !invocation.Quiet) invocation.Terminal.Error.WriteLine($"going on with {run}");
        var values = invocation.Values.With(RunSettings.Resume, run);
        return TrainCommand.Run(invocation with { Values = values, Positionals = [] });
    }

    private static string Newest() => RunsCommand.Find(["runs"]).LastOrDefault(run => RunStatus.Of(run).State == "stopped")
        ?? throw new UsageException("no run below runs/ was stopped; name the run folder: trainer resume RUN");
}
