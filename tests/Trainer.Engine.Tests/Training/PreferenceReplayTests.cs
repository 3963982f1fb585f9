using Trainer.Training;
using Trainer.Training.Records;
using Trainer.Training.Steps;
using Trainer.Training.Watch;

namespace Trainer.Engine.Tests.Training;

/// <summary>Runs of every objective are replayed, reproduced and gone on with to the bit.</summary>
[Trait("ring", "slow")]
public class PreferenceReplayTests
{
    [Theory]
    [InlineData("dpo_sigmoid")]
    [InlineData("dpo_continue_adapter")]
    [InlineData("kto_accum2")]
    [InlineData("kto_lf")]
    [InlineData("orpo_trl")]
    [InlineData("simpo_trl")]
    public void A_step_is_replayed_reproduced_and_gone_on_from_to_the_bit(string name)
    {
        using var run = new PreferenceRun(name);
        var steps = new List<StepDone>();
        run.OnEvent = record =>
        {
            if (record is StepDone step) steps.Add(step);
        };
        var whole = run.Run();

        // What a run leaves that ends before step 5: the state of step 4 and the rows of the next.
        using (var data = new TrainingData(run.Options, DataLoading.Open(run.Options, new Events([]))))
            ReplayBatches.Write(run.Out("checkpoint-4"), data.Step(4));
        var replay = Replay.Run(run.Out("checkpoint-4"), []);
        Assert.Equal((5, steps[4].Loss, steps[4].GradNorm, steps[4].LearningRate), (replay.Step, replay.Loss, replay.GradNorm, replay.LearningRate));
        Assert.True(replay.IsFinite);

        Assert.Equal(whole.AdapterSha256, Reproduce.Run(run.Options.OutputDirectory, run.Out("../again"), [], default).Found);

        using var stopped = new PreferenceRun(name);
        using var source = new CancellationTokenSource();
        stopped.OnEvent = record =>
        {
            if (record is StepDone { Step: 6 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => stopped.Run(source.Token));
        stopped.OnEvent = null;
        stopped.Options = stopped.Options with { Resume = "auto" };
        Assert.Equal(whole.AdapterSha256, stopped.Run().AdapterSha256);
    }
}
