using System.Text.Json;
using Trainer.Cli.CommandLine;
using Trainer.Cli.Rendering;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Cli.Commands;

/// <summary><c>trainer replay</c>: the step that stopped a run, once more, with the first tensor that is not finite named.</summary>
internal static class ReplayCommand
{
    public static readonly CommandSpec Spec = new("replay", "Compute once more the step that stopped a run, and say where it went wrong.", Run)
    {
        Group = "Runs",
        Description = "A run that stops on a loss or gradient that is not finite leaves a replay folder with everything that step needs.",
        Positional = "DIR",
        PositionalHelp = "The replay folder named by the message.",
        MaxPositionals = 1,
        Settings = [CommonSettings.Libtorch, CommonSettings.Json],
        Examples = [("trainer replay runs/a/replay-step-412", "")],
    };

    private static int Run(Invocation invocation)
    {
        if (invocation.Positionals.Count == 0) throw new UsageException("no replay folder; name the one that the stopped run's message names");
        using var view = new RunView(invocation, "replay", null, "", []);
        var result = view.Run(() => Replay.Run(invocation.Positionals[0], view.Observers));
        var output = invocation.Terminal.Out;
        if (invocation.Json)
        {
            var rows = result.Rows.Select(row => new { source = row.Source, tokens = row.Tokens, loss = Json.Finite(row.Loss) });
            output.WriteLine(JsonSerializer.Serialize(new { step = result.Step, loss = Json.Finite(result.Loss), grad_norm = Json.Finite(result.GradNorm),
                learning_rate = result.LearningRate, is_finite = result.IsFinite, place = result.Place, rows }, Json.Indented));
            return ExitCode.Done;
        }
        output.WriteLine($"step {result.Step} loss {result.Loss:0.000000} grad_norm {result.GradNorm:0.0000} lr {RunLines.Rate(result.LearningRate)}");
        output.WriteLine(result.IsFinite ? "everything is finite" : $"not finite{(result.Place is null ? "" : $": {result.Place}")}");
        foreach (var row in result.Rows) output.WriteLine($"{row.Source} tokens {row.Tokens} loss {row.Loss:0.0000}");
        return ExitCode.Done;
    }
}
