using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Runs;
using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>A run that stops anywhere and is resumed ends with the bytes and rows of one that never stopped.</summary>
public class ResumeTests
{
    [Fact]
    [Trait("ring", "slow")]
    public void A_run_stopped_in_any_micro_step_and_resumed_equals_one_that_never_stopped()
    {
        using var whole = new BigramRun();
        whole.Run();
        for (var stopAt = 1; stopAt < 20; stopAt++)
        {
            using var run = new BigramRun();
            using var source = new CancellationTokenSource();
            run.BeforeStep = (_, key) =>
            {
                // The sixth step of an epoch has one micro-batch left.
                if (key.Step == stopAt && key.MicroStep == (stopAt % 6 == 5 ? 0 : stopAt % 2)) source.Cancel();
            };
            var stopped = Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
            Assert.Equal(130, stopped.ExitCode);
            // The program adds the line that goes on from there.
            Assert.True(Directory.Exists(stopped.CheckpointDirectory));
            Assert.Contains(stopped.CheckpointDirectory!, stopped.Message, StringComparison.Ordinal);
            run.BeforeStep = null;
            run.Options = run.Options with { Resume = "auto" };
            run.Run();
            Assert.Equal(whole.Adapter, run.Adapter);
            Assert.Equal(whole.Metrics, run.Metrics);
        }
    }

    [Fact]
    [Trait("ring", "slow")]
    public void A_run_that_dies_between_any_two_records_and_is_resumed_equals_one_that_never_died()
    {
        using var whole = new BigramRun();
        whole.Run();
        var records = whole.Seen.Count;
        for (var dieAt = 1; dieAt < records; dieAt += 3)
        {
            using var run = new BigramRun();
            var left = dieAt;
            run.OnEvent = _ =>
            {
                // An exception that nothing handles leaves the disk as a kill would.
                if (--left == 0) throw new TimeoutException("died");
            };
            Assert.Throws<TimeoutException>(() => run.Run());
            run.OnEvent = null;
            run.Options = run.Options with { Resume = "auto" };
            run.Run();
            Assert.Equal(whole.Adapter, run.Adapter);
            Assert.Equal(whole.Metrics, run.Metrics);
        }
    }

    [Fact]
    public void The_mean_training_loss_is_that_of_all_steps_also_of_those_before_a_resume()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { MaxSteps = 8 };
        run.Run();
        run.Options = run.Options with { MaxSteps = 12, Resume = "auto" };
        var result = run.Run();
        var losses = run.Seen.OfType<StepDone>().Select(step => step.Loss).ToList();
        Assert.Equal(12, losses.Count);
        Assert.Equal(losses.Average(), result.TrainLoss, 1e-9);
    }

    [Fact]
    public void The_log_history_of_a_resumed_run_is_that_of_one_that_never_stopped()
    {
        using var whole = new BigramRun();
        whole.Options = whole.Options with { LoggingSteps = 3 };
        whole.Run();
        using var run = new BigramRun();
        run.Options = whole.Options with { OutputDirectory = run.Out("") };
        using var source = new CancellationTokenSource();
        run.BeforeStep = (_, key) =>
        {
            if (key.Step == 7) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.Options = run.Options with { Resume = "auto" };
        run.BeforeStep = null;
        run.Run();
        Assert.Equal(History(whole), History(run));
    }

    [Fact]
    public void A_damaged_newest_checkpoint_is_passed_over_and_said_so()
    {
        using var whole = new BigramRun();
        whole.Run();
        using var run = Stopped(at: 13);
        var newest = CheckpointFolder.List(run.Options.OutputDirectory)[^1];
        var tensors = Path.Combine(newest.Path, "trainer_state.safetensors");
        var bytes = File.ReadAllBytes(tensors);
        bytes[^5] ^= 1;
        File.WriteAllBytes(tensors, bytes);
        run.Run();
        Assert.Contains(run.Seen.OfType<Noted>(),
            note => note.IsWarning && note.Text.Contains($"checkpoint-{newest.Step} is damaged", StringComparison.Ordinal));
        Assert.Equal(whole.Adapter, run.Adapter);
        Assert.Equal(whole.Metrics, run.Metrics);
    }

    [Fact]
    public void When_every_checkpoint_is_damaged_the_run_is_refused()
    {
        using var run = Stopped(at: 9);
        foreach (var (_, path) in CheckpointFolder.List(run.Options.OutputDirectory)) File.Delete(Path.Combine(path, "run_state.json"));
        var fault = Assert.Throws<BadFileException>(() => run.Run());
        Assert.Contains("nothing to resume from", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_whose_checkpoints_are_gone_does_not_begin_at_zero()
    {
        using var run = Stopped(at: 9);
        foreach (var (_, path) in CheckpointFolder.List(run.Options.OutputDirectory)) Directory.Delete(path, recursive: true);
        var fault = Assert.Throws<OptionException>(() => run.Run());
        Assert.Contains("no checkpoint of it is left", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resuming_a_run_that_died_before_its_first_checkpoint_begins_again_and_says_so()
    {
        using var whole = new BigramRun();
        whole.Run();
        using var run = new BigramRun();
        run.BeforeStep = (_, key) =>
        {
            if (key.Step == 2) throw new TimeoutException("died");
        };
        Assert.Throws<TimeoutException>(() => run.Run());
        run.BeforeStep = null;
        run.Options = run.Options with { Resume = "auto" };
        run.Run();
        Assert.Contains(run.Seen.OfType<Noted>(), note => note.IsWarning && note.Text.Contains("beginning again at step 0", StringComparison.Ordinal));
        Assert.Equal(whole.Adapter, run.Adapter);
        Assert.Equal(whole.Metrics, run.Metrics);
    }

    [Fact]
    public void A_named_checkpoint_is_taken_and_newer_ones_are_put_aside()
    {
        using var whole = new BigramRun();
        whole.Run();
        using var run = Stopped(at: 13);
        run.Options = run.Options with { Resume = run.Out("checkpoint-4") };
        run.Run();
        Assert.Equal(4, run.Seen.OfType<RunStarted>().Last().FirstStep);
        Assert.True(Directory.Exists(run.Out("superseded-checkpoint-12")));
        Assert.Equal(whole.Adapter, run.Adapter);
        Assert.Equal(whole.Metrics, run.Metrics);
    }

    [Fact]
    public void More_steps_extend_a_finished_run_and_the_schedule_is_explained()
    {
        using var run = new BigramRun();
        run.Run();
        run.Options = run.Options with { Resume = "auto", MaxSteps = 30 };
        var result = run.Run();
        Assert.Equal(30, result.Steps);
        var note = Assert.Single(run.Seen.OfType<Noted>(), note => note.Text.Contains("30 steps instead of 20", StringComparison.Ordinal));
        Assert.Contains("it would have been 0", note.Text, StringComparison.Ordinal);
        Assert.Equal(30, File.ReadAllLines(run.Out("metrics.jsonl")).Count(line => line.Contains("\"loss\"", StringComparison.Ordinal)));
    }

    [Fact]
    public void Fewer_steps_than_were_made_are_refused()
    {
        using var run = new BigramRun();
        run.Run();
        run.Options = run.Options with { Resume = "auto", MaxSteps = 10 };
        Assert.Contains("beyond the 10 steps", Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_holds_another_run_is_refused_or_replaced()
    {
        using var run = new BigramRun();
        run.Run();
        var adapter = run.Adapter;
        Assert.Contains("holds another run", Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
        Assert.Equal(adapter, run.Adapter);
        run.Options = run.Options with { OverwriteOutputDirectory = true, MaxSteps = 3 };
        run.Run();
        Assert.NotEqual(adapter, run.Adapter);
        Assert.Equal(["checkpoint-3"], CheckpointFolder.List(run.Options.OutputDirectory).Select(found => Path.GetFileName(found.Path)));
    }

    private static BigramRun Stopped(int at)
    {
        var run = new BigramRun();
        run.BeforeStep = (_, key) =>
        {
            if (key.Step == at) throw new TimeoutException("died");
        };
        Assert.Throws<TimeoutException>(() => run.Run());
        run.BeforeStep = null;
        run.Options = run.Options with { Resume = "auto" };
        return run;
    }

    private static string History(BigramRun run)
    {
        var history = (JsonArray)JsonNode.Parse(File.ReadAllText(run.Out("trainer_state.json")))!["log_history"]!;
        foreach (var row in history)
        {
            ((JsonObject)row!).Remove("eval_runtime");
            ((JsonObject)row!).Remove("train_runtime");
        }
        return history.ToJsonString();
    }
}
