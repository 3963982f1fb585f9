using Trainer.Checkpoints;
using Trainer.Checkpoints.Runs;
using Trainer.Training;
using Trainer.Training.Records;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>What lies in a run folder is not lost: not by a refused command, not by a resume elsewhere, not by early stopping.</summary>
public class RunFolderCornerTests
{
    [Fact]
    public void A_refused_resume_changes_nothing_on_disk()
    {
        using var run = new BigramRun();
        run.Run();
        var before = Tree(run.Options.OutputDirectory);
        run.Options = run.Options with { Resume = run.Out("checkpoint-12"), MaxSteps = 10 };
        Assert.Throws<OptionException>(() => run.Run());
        Assert.Equal(before, Tree(run.Options.OutputDirectory));
    }

    [Fact]
    public void A_refused_replacement_changes_nothing_on_disk_and_a_run_that_begins_takes_all_of_the_old_one()
    {
        using var run = new BigramRun();
        run.Run();
        Directory.CreateDirectory(run.Out("runs"));
        foreach (var name in new[] { "runs/events.out.tfevents.1.host.1.0", "trainer.log", "recipe.yaml", "mine.txt" }) File.WriteAllText(run.Out(name), "old");
        Directory.CreateDirectory(run.Out("superseded-checkpoint-3"));
        var before = Tree(run.Options.OutputDirectory);
        run.Options = run.Options with { OverwriteOutputDirectory = true, MaxSteps = 3 };
        using (var folder = RunFolder.Open(run.Options, new Events([])))
        {
            RunManifest.Begin(run.Options, folder.Earlier).WriteIfFirst(folder);
            folder.Forget();
            Assert.True(folder.ReplacedBytes > 1000);
        }
        Assert.Equal(before, Tree(run.Options.OutputDirectory));
        run.Run();
        var left = Directory.EnumerateFileSystemEntries(run.Options.OutputDirectory).Select(Path.GetFileName).Order(StringComparer.Ordinal);
        Assert.Equal(["README.md", "adapter_config.json", "adapter_model.safetensors", "checkpoint-3", "metrics.jsonl", "mine.txt", "run.json", "runs",
            "trainer_state.json"], left);
        Assert.Empty(Directory.EnumerateFiles(run.Out("runs")));
    }

    [Fact]
    public void Checkpoints_of_another_program_are_never_renamed_rotated_or_replaced()
    {
        using var run = new BigramRun();
        Directory.CreateDirectory(run.Out("checkpoint-500"));
        File.WriteAllText(run.Out("checkpoint-500/optimizer.pt"), "theirs");
        Assert.Contains("did not write", Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
        run.Options = run.Options with { Resume = "auto" };
        Assert.Contains("written by transformers", Assert.Throws<BadFileException>(() => run.Run()).Message, StringComparison.Ordinal);
        Assert.Equal(["checkpoint-500", "checkpoint-500/optimizer.pt"], Tree(run.Options.OutputDirectory).Keys.Order(StringComparer.Ordinal));
        Directory.Delete(run.Out("checkpoint-500"), recursive: true);
        run.Options = run.Options with { Resume = null, MaxSteps = 8, SaveTotalLimit = 1 };
        run.Run();
        Directory.CreateDirectory(run.Out("checkpoint-2"));
        Directory.CreateDirectory(run.Out("checkpoint-12"));
        run.Options = run.Options with { Resume = "auto", MaxSteps = 20 };
        Assert.Contains("did not write", Assert.Throws<CannotWriteException>(() => run.Run()).Message, StringComparison.Ordinal);
        Assert.True(Directory.Exists(run.Out("checkpoint-2")));
    }

    [Fact]
    public void Early_stopping_after_a_resume_into_another_folder_ends_with_the_best_adapter()
    {
        using var whole = Stopping();
        Assert.Contains("the adapter is that of step", whole.Run().Reason, StringComparison.Ordinal);
        using var run = Stopping();
        using var source = new CancellationTokenSource();
        var best = whole.Seen.OfType<EvalDone>().Last(eval => eval.IsBest).Step;
        run.OnEvent = record =>
        {
            if (record is StepDone done && done.Step == best + 1) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        run.Options = run.Options with { OutputDirectory = run.Out("../elsewhere"), Resume = run.Out($"checkpoint-{best + 1}") };
        run.Run();
        Assert.Equal(whole.Adapter, run.Adapter);
        Assert.True(Directory.Exists(run.Out($"checkpoint-{best}")));
        Assert.Contains(run.Out($"checkpoint-{best}"), File.ReadAllText(run.Out("trainer_state.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void Early_stopping_with_a_damaged_best_checkpoint_ends_with_the_last_adapter_and_says_so()
    {
        using var run = Stopping();
        run.OnEvent = record =>
        {
            if (record is EvalDone { IsBest: false, Step: > 0 } eval && Directory.Exists(run.Out($"checkpoint-{eval.Step - 1}")))
                File.AppendAllText(run.Out($"checkpoint-{eval.Step - 1}/run_state.json"), "x");
        };
        var result = run.Run();
        Assert.EndsWith($"the adapter is that of step {result.Steps}", result.Reason, StringComparison.Ordinal);
        Assert.Contains(run.Seen.OfType<Noted>(),
            note => note.IsWarning && note.Text.Contains("the best checkpoint cannot be taken", StringComparison.Ordinal));
        Assert.True(File.Exists(run.Out("adapter_model.safetensors")));
    }

    [Fact]
    public void A_run_that_stopped_early_goes_on_when_its_patience_grows()
    {
        using var run = Stopping();
        var first = run.Run();
        run.Options = run.Options with { Resume = "auto", EarlyStoppingPatience = 5 };
        var second = run.Run();
        Assert.True(second.Steps > first.Steps, $"{first.Steps} steps, then {second.Steps}");
    }

    [Fact]
    public void A_slash_at_the_end_and_a_link_are_the_same_folder()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { MaxSteps = 8 };
        run.Run();
        var link = run.Out("../link");
        Directory.CreateSymbolicLink(link, run.Options.OutputDirectory);
        run.Options = run.Options with { OutputDirectory = run.Options.OutputDirectory + "/", Resume = run.Out("checkpoint-4") };
        run.Run();
        run.Options = run.Options with { OutputDirectory = link, Resume = run.Out("checkpoint-4/") };
        run.Run();
        Assert.Equal(8, CheckpointFolder.List(run.Options.OutputDirectory)[^1].Step);
    }

    [Fact]
    public void A_stop_before_the_first_step_does_not_block_the_same_command()
    {
        using var whole = new BigramRun();
        whole.Run();
        using var run = new BigramRun();
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.Contains("the same command begins again", Assert.Throws<RunInterruptedException>(() => run.Run(stop.Token)).Message, StringComparison.Ordinal);
        File.Delete(run.Out("run.json"));
        run.Run();
        Assert.Equal(whole.Adapter, run.Adapter);
        Assert.Equal(whole.Metrics, run.Metrics);
    }

    [Fact]
    public void A_run_that_was_killed_while_it_loaded_does_not_block_the_same_command()
    {
        using var run = new BigramRun();
        using (var folder = RunFolder.Open(run.Options, new Events([]))) RunManifest.Begin(run.Options, folder.Earlier).WriteIfFirst(folder);
        Assert.True(File.Exists(run.Out("run.json")));
        run.Run();
        Assert.True(File.Exists(run.Out("adapter_model.safetensors")));
    }

    [Fact]
    public void A_checkpoint_without_its_run_folder_and_a_damaged_run_file_keep_the_runs_first_day()
    {
        using var run = new BigramRun();
        run.Run();
        var begun = RunManifest.Read(run.Out("run.json")).StartedUtc;
        File.WriteAllText(run.Out("run.json"), "{\"format\":1,\"options\":null}");
        run.Options = run.Options with { Resume = "auto", MaxSteps = 24 };
        run.Run();
        Assert.Equal(begun, RunManifest.Read(run.Out("run.json")).StartedUtc);
        File.Delete(run.Out("run.json"));
        run.Options = run.Options with { Resume = run.Out("checkpoint-24"), MaxSteps = 26, OutputDirectory = run.Out("../alone") };
        run.Run();
        Assert.Equal(begun, RunManifest.Read(run.Out("run.json")).StartedUtc);
    }

    /// <summary>A run whose held-out loss soon rises: the rate is far too high.</summary>
    private static BigramRun Stopping()
    {
        var run = new BigramRun();
        run.Options = run.Options with { MaxSteps = 60, EvalSteps = 1, SaveSteps = 1, EarlyStoppingPatience = 2, LearningRate = 2, WarmupSteps = 0,
            GradientAccumulationSteps = 1 };
        return run;
    }

    private static Dictionary<string, string> Tree(string folder) => Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories)
        .ToDictionary(path => Path.GetRelativePath(folder, path), path => File.Exists(path) ? FileDigest.Sha256(path) : "");
}
