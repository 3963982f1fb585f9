using Trainer.Checkpoints.Runs;
using Trainer.Training;
using Trainer.Training.Watch;

namespace Trainer.Engine.Tests.Training;

/// <summary>What must not go on stops the run before any harm, says where, and keeps the last good checkpoint.</summary>
public class WatchdogTests
{
    [Fact]
    public void A_NaN_planted_in_the_adapter_stops_before_the_update_and_names_tensor_step_and_rows()
    {
        using var run = new BigramRun();
        run.BeforeStep = (model, key) =>
        {
            if (key is { Step: 9, MicroStep: 1 }) model.Values[(int)model.Tensors[1].Offset + 2] = float.NaN;
        };
        var fault = Assert.Throws<NonFiniteException>(() => run.Run());
        Assert.Contains("loss became NaN at step 10", fault.Message, StringComparison.Ordinal);
        Assert.Contains("weight bias.lora_B.weight", fault.Message, StringComparison.Ordinal);
        Assert.Contains("rows.jsonl:", fault.Message, StringComparison.Ordinal);
        Assert.Contains("checkpoint-8", fault.Message, StringComparison.Ordinal);
        Assert.True(Directory.Exists(run.Out("checkpoint-8")));
        Assert.False(File.Exists(run.Out("adapter_model.safetensors")));
    }

    [Fact]
    public void A_NaN_planted_in_a_gradient_stops_before_the_update_and_names_the_tensor()
    {
        using var run = new BigramRun();
        run.BeforeStep = (model, key) =>
        {
            if (key is { Step: 2, MicroStep: 1 }) model.Gradients[3] = float.PositiveInfinity;
        };
        var fault = Assert.Throws<NonFiniteException>(() => run.Run());
        Assert.Contains("gradient norm became infinite at step 3", fault.Message, StringComparison.Ordinal);
        Assert.Contains("gradient table.lora_B.weight is Infinity at element 3", fault.Message, StringComparison.Ordinal);
        Assert.Contains("no checkpoint was written yet", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_overflow_inside_a_layer_with_finite_weights_is_located_and_replayed()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        // The first update throws every B to about 1e37: finite, but its product with A is not.
        run.Options = run.Options with { LearningRate = 10, WarmupSteps = 0, MaxSteps = 3, Lora = run.Options.Lora with { LoraPlusRatio = 1e36 } };
        var fault = Assert.Throws<NonFiniteException>(() => run.Run());
        Assert.Contains("at step 2", fault.Message, StringComparison.Ordinal);
        Assert.Contains("all weights are finite, the output of model.layers.0.self_attn.q_proj is not", fault.Message, StringComparison.Ordinal);
        Assert.Contains("rows.jsonl:", fault.Message, StringComparison.Ordinal);
        var replay = Replay.Run(fault.ReplayDirectory!, []);
        Assert.False(replay.IsFinite);
        Assert.Contains("model.layers.0.self_attn.q_proj", replay.Place, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gradient_that_poisons_all_layers_below_is_named_by_the_highest()
    {
        using var run = new BigramRun();
        run.BeforeStep = (model, key) =>
        {
            if (key is { Step: 2, MicroStep: 1 }) model.Gradients[3] = model.Gradients[(int)model.Tensors[1].Offset + 1] = float.NaN;
        };
        Assert.Contains("gradient bias.lora_B.weight is NaN at element 1", Assert.Throws<NonFiniteException>(() => run.Run()).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(40)]
    public void The_weight_of_the_first_rows_is_no_fault_and_says_nothing_of_how_well_the_base_knows_them(float weight)
    {
        using var run = new BigramRun { Data = new BigramData(11, 7, weight: weight) };
        run.Options = run.Options with { WarmupSteps = 0, EvalSteps = null };
        run.Run();
        // A fresh model guesses: ln 7, whatever a row weighs; what weighs nothing tells nothing.
        run.Options = run.Options with { AllowHighLoss = false, OverwriteOutputDirectory = true };
        if (weight == 0) run.Run();
        else Assert.StartsWith("the first loss is 1.95", Assert.Throws<ImplausibleLossException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_time_limit_counts_from_the_commands_beginning_and_ends_a_run_that_is_still_loading()
    {
        using var late = new BigramRun { BeganBefore = TimeSpan.FromHours(2) };
        late.Options = late.Options with { MaxTime = TimeSpan.FromHours(1) };
        Assert.Contains("stopped by --max-time before the first step", Assert.Throws<RunInterruptedException>(() => late.Run()).Message,
            StringComparison.Ordinal);
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { MaxTime = TimeSpan.FromMilliseconds(1) };
        var fault = Assert.Throws<RunInterruptedException>(() => run.Run());
        Assert.Equal(130, fault.ExitCode);
        Assert.Contains("before the first step; nothing is kept", fault.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run.Options.OutputDirectory));
        run.Options = run.Options with { MaxTime = null, MaxSteps = 1 };
        run.Run();
    }

    [Fact]
    public void A_wall_clock_that_jumps_both_ways_changes_nothing()
    {
        using var calm = new BigramRun();
        calm.Run();
        using var run = new BigramRun { Time = new JumpingClock() };
        run.Options = run.Options with { MaxTime = TimeSpan.FromHours(1) };
        run.Run();
        Assert.Equal(calm.Adapter, run.Adapter);
        Assert.Equal(calm.Metrics, run.Metrics);
        var elapsed = run.Seen.OfType<StepDone>().Select(step => step.ElapsedSeconds).ToList();
        Assert.Equal(elapsed.Order(), elapsed);
        Assert.InRange(elapsed[^1], 0, 3600);
    }

    private sealed class JumpingClock : TimeProvider
    {
        private int _asked;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddHours(_asked++ % 2 == 0 ? 30 : -30);
    }

    [Fact]
    public void A_replay_bundle_repeats_the_very_step()
    {
        using var run = new BigramRun();
        run.BeforeStep = (model, key) =>
        {
            if (key is { Step: 9, MicroStep: 1 }) model.Gradients[3] = float.NaN;
        };
        var fault = Assert.Throws<NonFiniteException>(() => run.Run());
        Assert.True(Directory.Exists(fault.ReplayDirectory));
        var whole = new BigramRun();
        whole.Run();
        using var model = new BigramModel(7);
        var replay = Replay.Step(fault.ReplayDirectory!, model);
        var row = whole.Seen.OfType<StepDone>().Single(step => step.Step == 10);
        Assert.Equal((10, row.Loss, row.GradNorm, row.LearningRate), (replay.Step, replay.Loss, replay.GradNorm, replay.LearningRate));
        Assert.True(replay.IsFinite);
        whole.Dispose();
    }

    [Fact]
    public void A_base_that_hardly_beats_guessing_is_stopped_at_step_one_unless_allowed()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { AllowHighLoss = false };
        var fault = Assert.Throws<ImplausibleLossException>(() => run.Run());
        Assert.Contains("0.9 ln(7) = 1.75", fault.Message, StringComparison.Ordinal);
        Assert.Contains("--allow-high-loss", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_memory_limit_leaves_a_checkpoint_to_continue_from()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { MaxMemoryBytes = 1 << 20 };
        var fault = Assert.Throws<MemoryLimitException>(() => run.Run());
        Assert.Contains("--max-memory 1.0 MiB", fault.Message, StringComparison.Ordinal);
        Assert.Equal("checkpoint-1", Path.GetFileName(Assert.Single(CheckpointFolder.List(run.Options.OutputDirectory)).Path));
    }

    [Fact]
    public void Of_several_ranks_each_may_have_its_share_of_the_machine()
    {
        var watch = new MemoryWatch(6L << 30, isUsersLimit: false, ranks: 4);
        Assert.Null(watch.Look(20L << 30, 6L << 30, 1));
        Assert.Contains("is above what each of 4 ranks may have of this machine, 6.0 GiB at step 2", watch.Look(20L << 30, 7L << 30, 2),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_that_grows_window_after_window_is_found_and_a_sawtooth_is_not()
    {
        var leak = new MemoryWatch(long.MaxValue, isUsersLimit: true);
        var found = Enumerable.Range(0, 1000).Select(step => leak.Look(0, (200L << 20) + step * (200L << 10), step)).FirstOrDefault(fault => fault is not null);
        Assert.Contains("would not have stopped", found, StringComparison.Ordinal);
        var saw = new MemoryWatch(long.MaxValue, isUsersLimit: true);
        Assert.All(Enumerable.Range(0, 3000), step => Assert.Null(saw.Look(0, (200L << 20) + step % 70 * (1L << 20), step)));
        var settling = new MemoryWatch(long.MaxValue, isUsersLimit: true);
        Assert.All(Enumerable.Range(1, 3000), step => Assert.Null(settling.Look(0, (300L << 20) - (100L << 20) / step, step)));
    }

    [Fact]
    public void Early_stopping_ends_with_the_best_evaluation_and_its_checkpoint()
    {
        using var run = new BigramRun();
        // A rate that blows up after a good start makes later evaluations worse.
        run.Options = run.Options with { EarlyStoppingPatience = 2, EvalSteps = 1, MaxSteps = 200, LearningRate = 3, WarmupSteps = 20, SaveTotalLimit = 2 };
        var result = run.Run();
        Assert.StartsWith("early stopping", result.Reason, StringComparison.Ordinal);
        var best = run.Seen.OfType<EvalDone>().Where(eval => eval.Step > 0).MinBy(eval => eval.EvalLoss)!;
        Assert.True(Directory.Exists(run.Out($"checkpoint-{best.Step}")));
        Assert.Equal(best.EvalLoss, result.BestEvalLoss);
        Assert.Equal(File.ReadAllBytes(run.Out($"checkpoint-{best.Step}/adapter_model.safetensors")), run.Adapter);
        // Two evaluations that are no better end it, not three.
        Assert.Equal(best.Step + 2, result.Steps);
    }

    [Fact]
    public void The_best_evaluations_adapter_is_the_result_where_it_is_asked_for()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { EvalSteps = 1, MaxSteps = 40, LearningRate = 3, WarmupSteps = 20, SaveTotalLimit = 2 };
        var last = run.Run();
        var best = run.Seen.OfType<EvalDone>().Where(eval => eval.Step > 0).MinBy(eval => eval.EvalLoss)!;
        Assert.True(best.Step < 40);
        using var other = new BigramRun();
        other.Options = other.Options with { EvalSteps = 1, MaxSteps = 40, LearningRate = 3, WarmupSteps = 20, SaveTotalLimit = 2, LoadBestModelAtEnd = true };
        var kept = other.Run();
        Assert.Equal(40, kept.Steps);
        Assert.Contains($"the adapter is that of step {best.Step}", kept.Reason, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(other.Out($"checkpoint-{best.Step}/adapter_model.safetensors")), other.Adapter);
        Assert.NotEqual(last.AdapterSha256, kept.AdapterSha256);
        // The last checkpoint is the last step's in both: a longer run goes on from there.
        Assert.Equal(File.ReadAllBytes(run.Out("checkpoint-40/adapter_model.safetensors")),
            File.ReadAllBytes(other.Out("checkpoint-40/adapter_model.safetensors")));
    }

    [Fact]
    public void An_update_that_overflows_the_weights_is_seen_at_once()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { LearningRate = 1e39, WarmupSteps = 0, MaxSteps = 1 };
        Assert.Contains("a trained weight", Assert.Throws<NonFiniteException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_best_checkpoint_outlives_the_limit_on_checkpoints()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { EvalSteps = 1, SaveSteps = 1, MaxSteps = 40, LearningRate = 3, WarmupSteps = 20, SaveTotalLimit = 1 };
        run.Run();
        var best = run.Seen.OfType<EvalDone>().Last(eval => eval.IsBest).Step;
        Assert.InRange(best, 1, 38);
        Assert.Equal([best, 40], CheckpointFolder.List(run.Options.OutputDirectory).Select(found => found.Step));
    }

    [Fact]
    public void A_file_SAVE_makes_a_checkpoint_and_a_file_STOP_ends_the_run()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { SaveSteps = 0, EvalSteps = null };
        run.BeforeStep = (_, key) =>
        {
            if (key is { Step: 5, MicroStep: 0 }) File.WriteAllText(run.Out(key.Step == 5 ? "SAVE" : "STOP"), "");
            if (key is { Step: 9, MicroStep: 0 }) File.WriteAllText(run.Out("STOP"), "");
        };
        var stopped = Assert.Throws<RunInterruptedException>(() => run.Run());
        Assert.Contains("STOP", stopped.Message, StringComparison.Ordinal);
        Assert.Equal(["checkpoint-6", "checkpoint-9"], CheckpointFolder.List(run.Options.OutputDirectory).Select(found => Path.GetFileName(found.Path)));
        Assert.False(File.Exists(run.Out("STOP")) || File.Exists(run.Out("SAVE")));
    }

    [Fact]
    public void STOP_and_SAVE_at_once_save_and_stop()
    {
        using var run = new BigramRun();
        run.BeforeStep = (_, key) =>
        {
            if (key is not { Step: 2, MicroStep: 1 }) return;
            File.WriteAllText(run.Out("SAVE"), "");
            File.WriteAllText(run.Out("STOP"), "");
        };
        Assert.Contains("after step 3", Assert.Throws<RunInterruptedException>(() => run.Run()).Message, StringComparison.Ordinal);
        Assert.True(Directory.Exists(run.Out("checkpoint-3")));
        Assert.False(File.Exists(run.Out("STOP")) || File.Exists(run.Out("SAVE")));
    }

    [Fact]
    public void A_time_limit_ends_the_run_with_a_checkpoint()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { MaxTime = TimeSpan.FromMilliseconds(40), MaxSteps = 100000, SaveSteps = 0, EvalSteps = null };
        Assert.Contains("--max-time", Assert.Throws<RunInterruptedException>(() => run.Run()).Message, StringComparison.Ordinal);
    }
}
