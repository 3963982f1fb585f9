using Trainer.Checkpoints;
using Trainer.Training;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>A run made again from its run.json: the same bytes, also where it was resumed as something else on its way.</summary>
[Trait("ring", "model")]
public class ReproduceTests
{
    [Fact]
    public void A_run_that_was_extended_and_resumed_with_other_options_is_made_again_in_the_same_parts()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        var options = run.Options with { MaxSteps = 3, SaveSteps = 2 };
        run.Options = options;
        run.Run();
        run.Options = options with { MaxSteps = 5, Resume = "auto" };
        run.Run();
        run.Options = options with { MaxSteps = 6, Resume = run.Out("checkpoint-4"), LearningRate = 2e-3, AllowDrift = true };
        var third = run.Run();
        var parts = RunManifest.Read(run.Out("run.json")).Segments!;
        Assert.Equal([(0, 3), (3, 5), (4, 6)], parts.Select(part => (part.FirstStep, part.TotalSteps)));
        Assert.Equal([1e-3, 1e-3, 2e-3], parts.Select(part => part.Options.LearningRate));

        var again = Reproduce.Run(run.Options.OutputDirectory, run.Out("../again"), [], default);

        Assert.Equal(third.AdapterSha256, again.Found);
        Assert.True(again.IsSame, string.Join("; ", again.Differences));
    }

    [Fact]
    public void A_plain_resume_leaves_one_part_and_other_data_cannot_be_made_again()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { MaxSteps = 4, SaveSteps = 2 };
        using var stop = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 3 }) stop.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(stop.Token));
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        run.Run();
        Assert.Null(RunManifest.Read(run.Out("run.json")).Segments);
        File.AppendAllText(run.Options.Data.Train[0].Path, "{\"input_ids\":[1,2,3]}\n");
        run.Options = run.Options with { AllowDrift = true, MaxSteps = 5 };
        run.Run();
        Assert.Contains("on other files", Assert.Throws<BadFileException>(() => Reproduce.Run(run.Out("run.json"), run.Out("../again"), [], default)).Message,
            StringComparison.Ordinal);
    }
}
