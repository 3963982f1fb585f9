using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>What goes wrong on one of several ranks is said by all of them, and rank 0 leaves what repeats it.</summary>
public sealed class RankWatchdogTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_loss_that_is_not_finite_on_any_rank_leaves_the_bundle_and_one_message(int faulty)
    {
        using var shared = new BigramRun();
        var faults = Runs(shared, run => run.BeforeStep = (model, key) =>
        {
            // Micro-batch i is rank i's.
            if (key is { Step: 9 } && key.MicroStep == faulty) model.Values[(int)model.Tensors[1].Offset + 2] = float.NaN;
        });
        Assert.All(faults, fault => Assert.Contains($"loss became NaN at step 10 on rank {faulty} of 2", Assert.IsType<NonFiniteException>(fault).Message,
            StringComparison.Ordinal));
        Assert.All(faults, fault => Assert.Contains("weight bias.lora_B.weight is NaN at element 2", fault!.Message, StringComparison.Ordinal));
        Assert.Contains("checkpoint-8", faults[0]!.Message, StringComparison.Ordinal);
        AssertStep10(Assert.IsType<NonFiniteException>(faults[0]).ReplayDirectory!, isFinite: faulty != 0);
    }

    [Fact]
    public void A_gradient_that_is_not_finite_on_one_rank_leaves_the_bundle_too()
    {
        using var shared = new BigramRun();
        var faults = Runs(shared, run => run.BeforeStep = (model, key) =>
        {
            if (key is { Step: 9, MicroStep: 1 }) model.Gradients[3] = float.NaN;
        });
        Assert.All(faults, fault => Assert.Contains("gradient table.lora_B.weight is NaN at element 3", Assert.IsType<NonFiniteException>(fault).Message,
            StringComparison.Ordinal));
        AssertStep10(((NonFiniteException)faults[0]!).ReplayDirectory!, isFinite: true);
    }

    [Fact]
    public void An_evaluation_that_is_not_finite_on_one_rank_leaves_its_rows()
    {
        using var shared = new BigramRun();
        var faults = Runs(shared, run =>
        {
            BigramModel? model = null;
            run.BeforeStep = (trained, _) => model = trained;
            run.OnEvent = seen =>
            {
                // After step 5 all evaluate; the held-out rows are dealt out, and rank 1 begins with the second.
                if (seen is StepDone { Step: 5 } && run.Ranks.Rank == 1) model!.Values[(int)model.Tensors[1].Offset] = float.NaN;
            };
        });
        Assert.All(faults, fault => Assert.Contains("loss became NaN at step 6 on rank 1 of 2", Assert.IsType<NonFiniteException>(fault).Message,
            StringComparison.Ordinal));
        using var model = new BigramModel(7);
        var replay = Replay.Step(((NonFiniteException)faults[0]!).ReplayDirectory!, model);
        Assert.Equal(shared.Data.EvalBatches[1].Rows.Select(row => row.ToString()), replay.Rows.Select(row => row.Source));
    }

    private static void AssertStep10(string bundle, bool isFinite)
    {
        using var whole = new BigramRun();
        whole.Run();
        using var model = new BigramModel(7);
        var replay = Replay.Step(bundle, model);
        var row = whole.Seen.OfType<StepDone>().Single(step => step.Step == 10);
        Assert.Equal((10, isFinite), (replay.Step, replay.IsFinite));
        // Where the fault was planted on another rank than the first, rank 0 holds the sound values, and both micro-batches are in the bundle.
        if (isFinite) Assert.Equal(row.Loss, replay.Loss, 1e-6);
    }

    private static Exception?[] Runs(BigramRun shared, Action<BigramRun> plant) => ThreadRanks.Run(2, ranks =>
    {
        using var run = new BigramRun(shared.Folder) { Ranks = ranks };
        plant(run);
        run.Run();
    });
}
