using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer reproduce</c>: a run made again from its run.json, compared byte for byte.</summary>
internal static class ReproduceCommand
{
    public static readonly CommandSpec Spec = new("reproduce", "Make a run again from its run.json and compare the adapters byte for byte.", Run)
    {
        Group = "Runs",
        Positional = "RUN",
        PositionalHelp = "Run folder, or its run.json.",
        MaxPositionals = 1,
        Settings = [RunSettings.OutputDirectory with { DefaultNote = "<run>-again", InRecipe = false }, GrpoSettings.RewardCommand,
            CommonSettings.Libtorch, CommonSettings.Json],
        Examples = [("trainer reproduce runs/a", "")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("no run; name a run folder");
        var run = invocation.Positionals[0];
        var output = invocation.Values.Text(RunSettings.OutputDirectory) ?? (File.Exists(run) ? Path.GetDirectoryName(run)! : run.TrimEnd('/')) + "-again";
        var rewards = invocation.Values.Items(GrpoSettings.RewardCommand).Select(item => item.Text).ToList();
        invocation.Values.ThrowIfFaulty();
        using var view = new RunView(invocation, "reproduce", null, "", []);
        var result = view.Run(() => Reproduce.Run(run, output, view.Observers, invocation.Stop.Token, rewards));
        if (invocation.Json)
        {
            invocation.Terminal.Out.WriteLine(JsonSerializer.Serialize(new { is_same = result.IsSame, expected = result.Expected, found = result.Found,
                differences = result.Differences, output_dir = result.Directory }, Json.Indented));
        }
        else
        {
            foreach (var difference in result.Differences) invocation.Terminal.Out.WriteLine(difference);
            invocation.Terminal.Out.WriteLine(result.IsSame
                ? $"the same adapter, byte for byte ({result.Found})" : $"another adapter: {result.Found} instead of {result.Expected}");
        }
        return result.IsSame ? ExitCode.Done : ExitCode.OurFault;
    }
}
