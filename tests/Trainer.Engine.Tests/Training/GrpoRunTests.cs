using Trainer.Data;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.Rollouts;
using Trainer.Training.State;
using Trainer.Training.Watch;

namespace Trainer.Engine.Tests.Training;

/// <summary>Runs on rewards keep what every run promises: the same bytes again, stopped or not, replayed, and refused in one sentence.</summary>
[Trait("ring", "model")]
public class GrpoRunTests
{
    [Theory]
    [InlineData(1, 0.0, 2)]
    [InlineData(3, 0.1, 4)]
    [InlineData(2, 0.0, 1)]
    public void A_run_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped(int iterations, double beta, int stopAt)
    {
        GrpoRun Made()
        {
            var run = new GrpoRun();
            run.Options = run.Options with
            {
                MaxSteps = 6, Preference = run.Options.Preference with { Beta = beta },
                Grpo = run.Options.Grpo with { NumIterations = iterations, TopK = 20, Temperature = 1.2 },
            };
            return run;
        }
        using var whole = Made();
        var expected = whole.Run();
        using var stopped = Made();
        using var source = new CancellationTokenSource();
        stopped.OnEvent = record =>
        {
            if (record is StepDone step && step.Step == stopAt) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => stopped.Run(source.Token));
        stopped.OnEvent = null;
        stopped.Options = stopped.Options with { Resume = "auto" };
        Assert.Equal(expected.AdapterSha256, stopped.Run().AdapterSha256);
        Assert.Equal(whole.Metrics.Select(row => row.Replace(whole.Options.Data.Train[0].Path, "", StringComparison.Ordinal)),
            stopped.Metrics.Select(row => row.Replace(stopped.Options.Data.Train[0].Path, "", StringComparison.Ordinal)));
        // Answers serve as many steps as was said, and are recorded once.
        Assert.Equal(6 / iterations, whole.Seen.OfType<RolledOut>().Count());
    }

    [Fact]
    public void A_step_is_replayed_and_the_run_reproduced()
    {
        using var run = new GrpoRun();
        run.Options = run.Options with { SaveSteps = 1, SaveTotalLimit = 0, Grpo = run.Options.Grpo with { NumIterations = 2 } };
        var result = run.Run();
        // Between two steps of the same answers the checkpoint has them, which is all that a replay needs: no program is asked.
        var kept = CheckpointContent.ReadState(run.Out("checkpoint-3")).State.Rollout!;
        ReplayBatches.Write(run.Out("checkpoint-3"), kept.Batches());
        var (replay, fourth) = (Replay.Run(run.Out("checkpoint-3"), []), run.Seen.OfType<StepDone>().Single(step => step.Step == 4));
        Assert.Equal((4, fourth.Loss, fourth.GradNorm), (replay.Step, replay.Loss, replay.GradNorm));
        Assert.NotEqual(0, replay.GradNorm);
        var again = Reproduce.Run(run.Options.OutputDirectory, run.Out("../again"), [], default, run.Options.Grpo.RewardCommands);
        Assert.True(again.IsSame, string.Join(';', again.Differences));
        Assert.Contains("needs --reward-command", Assert.Throws<OptionException>(() => Reproduce.Run(run.Options.OutputDirectory, run.Out("../third"), [],
            default)).Message, StringComparison.Ordinal);
        Assert.Equal(result.AdapterSha256, again.Found);
    }

    [Fact]
    public void What_is_sampled_hangs_on_the_seed_and_what_is_measured_stands_in_the_rows()
    {
        using var one = new GrpoRun();
        one.Run();
        using var other = new GrpoRun();
        other.Options = other.Options with { Seed = 7, DataSeed = 42 };
        other.Run();
        string[] Said(GrpoRun run) => [.. run.Seen.OfType<RolledOut>().First().Prompts.SelectMany(prompt => prompt.Answers)];
        Assert.Equal(8, Said(one).Length);
        Assert.NotEqual(Said(one), Said(other));
        Assert.True(Said(one).Distinct().Count() > 1, string.Join('|', Said(one)));
        var step = one.Steps[0];
        foreach (var name in new[] { "reward", "reward_std", "frac_reward_zero_std", "rewards/while/mean", "rewards/while/std", "completions/mean_length",
            "completions/clipped_ratio", "clip_ratio/region_mean" })
            Assert.True(step.TryGetProperty(name, out _), name);
        Assert.False(step.TryGetProperty("kl", out _));
        var first = one.Seen.OfType<RolledOut>().First();
        Assert.Equal(first.Prompts.SelectMany(prompt => prompt.Rewards).Average(rewards => rewards[0]!.Value), step.GetProperty("reward").GetDouble(), 1e-9);
        Assert.Contains(one.Metrics, row => row.Contains("\"rollout\":[{\"row\":", StringComparison.Ordinal));
        Assert.Equal(4, one.Seen.OfType<Sampled>().Count());
    }

    [Fact]
    public void The_program_gets_prompt_answer_and_the_rows_columns()
    {
        var log = Path.GetTempFileName();
        using var run = new GrpoRun($"while read -r line; do printf '%s\\n' \"$line\" >> {log}; echo 1; done");
        run.Options = run.Options with { MaxSteps = 1 };
        run.Run();
        var asked = File.ReadAllLines(log).Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement).ToList();
        File.Delete(log);
        Assert.Equal(8, asked.Count);
        var rolled = run.Seen.OfType<RolledOut>().Single();
        Assert.Equal(rolled.Prompts.SelectMany(prompt => prompt.Answers), asked.Select(line => line.GetProperty("completion").GetString()!));
        Assert.StartsWith("<|im_start|>user\nCount the legs of", asked[0].GetProperty("prompt").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, asked[0].GetProperty("row").GetProperty("answer").GetInt32() % 6);
        Assert.Equal(10, asked.Max(line => line.GetProperty("tokens").GetInt32()));
        // All rewards are the same: nothing is learnt, and the step says so.
        Assert.Equal((1, 0), (run.Steps[0].GetProperty("frac_reward_zero_std").GetDouble(), run.Steps[0].GetProperty("grad_norm").GetDouble()));
    }

    [Fact]
    public void A_program_that_fails_ends_the_run_and_leaves_nothing_of_a_first_step()
    {
        using var run = new GrpoRun("exit 4");
        Assert.Contains("ended with exit code 4 after 0 of 8 answers", Assert.Throws<RewardException>(() => run.Run()).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(run.Out("run.json")) || File.Exists(run.Out("metrics.jsonl")));
    }

    [Fact]
    public void Held_out_prompts_are_answered_and_can_choose_the_best_checkpoint()
    {
        using var run = new GrpoRun();
        run.Options = run.Options with { EvalSteps = 2, SaveSteps = 2, MetricForBestModel = "reward", Data = run.Options.Data with { EvalSplit = 2 } };
        run.Run();
        var evals = run.Seen.OfType<EvalDone>().ToList();
        Assert.Equal([0, 2, 4], evals.Select(eval => eval.Step));
        Assert.All(evals, eval => Assert.True(eval.Metrics.ContainsKey("reward") && eval.Metrics.ContainsKey("completions/mean_length")));
        Assert.Equal(evals.Skip(1).Max(eval => eval.Metrics["reward"]), evals.Where(eval => eval.IsBest).Max(eval => eval.Value));
    }

    [Fact]
    public void Masked_answers_carry_no_loss_and_count_as_answers()
    {
        using var run = new GrpoRun();
        run.Options = run.Options with { Grpo = run.Options.Grpo with { MaxCompletionLength = 1, MaskTruncated = true }, MaxSteps = 1 };
        run.Run();
        Assert.Equal((1, 0), (run.Steps[0].GetProperty("completions/clipped_ratio").GetDouble(), run.Steps[0].GetProperty("grad_norm").GetDouble()));
    }

    [Fact]
    public void Ranks_share_the_prompts_and_hold_the_same_adapter()
    {
        using var alone = new GrpoRun();
        alone.Options = alone.Options with { MaxSteps = 2, Grpo = alone.Options.Grpo with { NumIterations = 2 },
            Preference = new PreferenceOptions { Beta = 0.1 } };
        alone.Run();
        using var together = new GrpoRun();
        together.Options = together.Options with { MaxSteps = 2, Grpo = alone.Options.Grpo, Preference = alone.Options.Preference };
        Assert.All(ThreadRanks.Run(2, ranks => TrainingRun.Run(together.Options, ranks.Rank == 0 ? [together] : [], null, default, ranks)), Assert.Null);
        Assert.Equal(alone.Seen.OfType<RolledOut>().Single().Prompts.Select(prompt => prompt.Answers.Count),
            together.Seen.OfType<RolledOut>().Single().Prompts.Select(prompt => prompt.Answers.Count));
        Assert.All(alone.Steps.Zip(together.Steps), pair =>
            Assert.Equal(pair.First.GetProperty("loss").GetDouble(), pair.Second.GetProperty("loss").GetDouble(), 1e-5));
    }

    [Fact]
    public void Texts_and_answers_are_planned()
    {
        using var run = new GrpoRun();
        RunPlan? plan = null;
        run.OnEvent = record => plan = record is Planned planned ? planned.Plan : plan;
        run.Options = run.Options with { MaxSteps = 1 };
        run.Run();
        var longest = run.Seen.OfType<DataOpened>().Single().Statistics.LongestExample;
        Assert.Equal(4 * (longest + 10), plan!.MicroBatchTokens);
        Assert.Contains(plan.Memory, part => part.Name == "answers being written" && part.Bytes > 0);
        using var epoch = new GrpoRun();
        epoch.Options = epoch.Options with { MaxSteps = null, Grpo = epoch.Options.Grpo with { NumIterations = 2 } };
        epoch.Run();
        // Six prompts, two a step, two steps each.
        Assert.Equal(6, epoch.Steps.Count);
        Assert.Equal(1, epoch.Steps[^1].GetProperty("epoch").GetDouble(), 1e-9);
    }

    [Theory]
    [InlineData("batch", "no multiple of --num-generations 4")]
    [InlineData("none", "needs --reward-command")]
    [InlineData("weights", "--reward-weights has 2 weights for 1 of --reward-command")]
    [InlineData("packing", "--packing")]
    [InlineData("reference", "with --beta above 0 alone")]
    [InlineData("precompute", "makes its answers up")]
    [InlineData("loss", "no loss of --objective grpo; use one of dapo, grpo, dr-grpo, bnpo")]
    public void What_cannot_be_meant_is_refused(string what, string why)
    {
        using var run = new GrpoRun();
        run.Options = what switch
        {
            "batch" => run.Options with { BatchSize = 3, GradientAccumulationSteps = 1 },
            "none" => run.Options with { Grpo = run.Options.Grpo with { RewardCommands = [] } },
            "weights" => run.Options with { Grpo = run.Options.Grpo with { RewardWeights = [1, 2] } },
            "packing" => run.Options with { Packing = true },
            "reference" => run.Options with { Preference = run.Options.Preference with { Reference = "base" } },
            "precompute" => run.Options with { Preference = run.Options.Preference with { PrecomputeReference = true } },
            _ => run.Options with { Preference = run.Options.Preference with { LossType = ["sigmoid"] } },
        };
        Assert.Contains(why, Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Groups_without_spread_and_answers_that_are_all_cut_are_said_once()
    {
        var seen = new List<string>();
        var watch = new RewardWatch(new Events([new Ear(seen)]));
        var metrics = new Dictionary<string, double> { ["reward"] = 1, ["frac_reward_zero_std"] = 1, ["completions/clipped_ratio"] = 1 };
        for (var step = 1; step <= 80; step++) watch.Stepped(step, metrics);
        Assert.Equal(3, seen.Count);
        Assert.Contains("step 8: in 8 steps all answers to a prompt had the same reward", seen[0], StringComparison.Ordinal);
        Assert.Contains("--max-completion-length", seen[1], StringComparison.Ordinal);
        Assert.Contains("the reward has been 1 for 50 steps", seen[2], StringComparison.Ordinal);
    }

    private sealed class Ear(List<string> seen) : ITrainingObserver
    {
        public void On(TrainingEvent trainingEvent)
        {
            if (trainingEvent is Noted note) seen.Add(note.Text);
        }
    }
}
