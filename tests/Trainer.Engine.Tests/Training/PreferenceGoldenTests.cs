using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints.Safetensors;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Records;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>Ten steps of every preference objective equal those of TRL and LLaMA-Factory: losses, norms, metrics, and the adapters where they are
/// kept.</summary>
[Trait("ring", "model")]
public class PreferenceGoldenTests
{
    private const double Gate = 1e-4;
    private static readonly string Folder = Path.Combine(Golden.Fixtures, "preference");

    public static TheoryData<string> Cases() =>
        [.. Directory.GetFiles(Folder, "*.jsonl").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    // An objective of each family, and what no loss alone decides: what is accumulated, cut, saved whole or gone on with. Every formula is compared by
    // PairLossTests too.
    private static readonly string[] Telling = ["cpo_sigmoid", "dpo_continue_adapter", "dpo_ipo", "dpo_lf_pref_ftx", "dpo_modules_to_save",
        "dpo_sigmoid_accum2", "dpo_truncated", "kto", "kto_weights", "orpo_trl", "simpo_lf"];

    public static IEnumerable<object[]> TellingCases => Rings.Always(Cases(), one => Telling.Contains(one[0]));

    public static IEnumerable<object[]> OtherCases => Rings.Slow(Cases(), one => Telling.Contains(one[0]));

    [Theory, MemberData(nameof(OtherCases)), Trait("ring", "slow")]
    public void Ten_steps_of_every_variant_equal_the_reference(string name) => Ten_steps_equal_the_reference(name);

    [Theory]
    [MemberData(nameof(TellingCases))]
    public void Ten_steps_equal_the_reference(string name)
    {
        using var run = new PreferenceRun(name);
        run.Run();
        var (golden, rows) = (run.Golden, run.Metrics);
        Assert.Equal(10, rows.Count);
        for (var step = 0; step < 10; step++)
        {
            Near(golden.GetProperty("losses")[step], rows[step].GetProperty("loss"), Gate, $"loss of step {step}");
            Near(golden.GetProperty("grad_norms")[step], rows[step].GetProperty("grad_norm"), 1e-3, $"norm of step {step}");
            foreach (var metric in golden.GetProperty("metrics").EnumerateObject())
            {
                var isMeasured = rows[step].TryGetProperty(metric.Name, out var value);
                if (metric.Value[step].ValueKind != JsonValueKind.Null) Near(metric.Value[step], value, Gate, $"{metric.Name} of step {step}");
                else Assert.False(isMeasured);
            }
        }
        var final = Path.Combine(Folder, name + ".safetensors");
        if (File.Exists(final)) Assert.True(run.DifferenceFrom(final) < Gate, $"adapter: {run.DifferenceFrom(final)}");
    }

    // TRL and LLaMA-Factory take prompts and padding into these means of ORPO, SimPO and CPO, and LLaMA-Factory into all; here they are of answers.
    [Theory]
    [InlineData("simpo_trl")]
    [InlineData("orpo_lf")]
    [InlineData("kto_lf")]
    public void Mean_logits_are_those_of_the_answers_tokens(string name)
    {
        using var run = new PreferenceRun(name);
        run.Options = run.Options with { MaxSteps = 1 };
        run.Run();
        using var model = AdaptedModel.Load(run.Options, new Events([]));
        using var data = new TrainingData(run.Options, DataLoading.Open(run.Options, new Events([])));
        foreach (var (side, roles) in new[] { ("chosen", new[] { SegmentRole.Chosen, SegmentRole.Desirable }),
            ("rejected", [SegmentRole.Rejected, SegmentRole.Undesirable]) })
        {
            var means = new List<double>();
            foreach (var batch in data.Step(0))
            {
                var logits = model.Logits(batch);
                var tokens = Enumerable.Range(0, batch.Roles.Length).Where(segment => roles.Contains(batch.Roles[segment]))
                    .SelectMany(segment => Enumerable.Range(batch.AnswerStarts[segment] - 1, batch.SegmentStarts[segment + 1] - batch.AnswerStarts[segment]))
                    .ToList();
                if (tokens.Count > 0) means.Add(tokens.Average(t => logits.Skip(t * model.VocabularySize).Take(model.VocabularySize).Average()));
            }
            Assert.Equal(means.Average(), run.Metrics[0].GetProperty("logits/" + side).GetDouble(), 1e-5);
        }
    }

    [Fact]
    public void Without_a_reference_the_golden_run_would_be_another()
    {
        using var run = new PreferenceRun("dpo_sigmoid");
        run.Options = run.Options with { Preference = run.Options.Preference with { Reference = "none" }, MaxSteps = 1 };
        run.Run();
        Assert.NotEqual(run.Golden.GetProperty("losses")[0].GetDouble(), run.Metrics[0].GetProperty("loss").GetDouble(), 1e-2);
    }

    [Theory]
    [InlineData("dpo_continue_adapter")]
    [InlineData("kto")]
    public void A_run_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped(string name)
    {
        using var whole = new PreferenceRun(name);
        var expected = whole.Run().AdapterSha256;
        using var run = new PreferenceRun(name);
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 6 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(expected, run.Run().AdapterSha256);
    }

    [Fact]
    public void Two_pairs_at_once_equal_one_pair_twice()
    {
        using var wide = new PreferenceRun("dpo_sigmoid");
        wide.Options = wide.Options with { BatchSize = 4, GradientAccumulationSteps = 1, MaxSteps = 3 };
        wide.Run();
        using var narrow = new PreferenceRun("dpo_sigmoid");
        narrow.Options = narrow.Options with { BatchSize = 1, GradientAccumulationSteps = 4, MaxSteps = 3 };
        narrow.Run();
        Assert.True(wide.DifferenceFrom(narrow.Out("adapter_model.safetensors")) < 1e-5);
    }

    [Theory]
    [InlineData("dpo_sigmoid")]
    [InlineData("orpo_lf")]
    [InlineData("simpo_lf")]
    [InlineData("kto_apo_zero_unpaired")]
    public void Packed_answers_do_not_see_each_other(string name)
    {
        using var plain = new PreferenceRun(name);
        var rows = File.ReadAllLines(Path.Combine(Folder, name + ".jsonl")).Length;
        plain.Options = plain.Options with { BatchSize = 1, GradientAccumulationSteps = rows, MaxSteps = 1 };
        plain.Run();
        using var packed = new PreferenceRun(name);
        // Bins of a few rows each: the step is the whole pass either way.
        packed.Options = plain.Options with { OutputDirectory = packed.Options.OutputDirectory, Packing = true,
            Data = plain.Options.Data with { MaxSeqLength = 48 } };
        packed.Run();
        Near(plain.Metrics[0].GetProperty("loss"), packed.Metrics[0].GetProperty("loss"), 1e-5, "loss");
        Assert.True(packed.DifferenceFrom(plain.Out("adapter_model.safetensors")) < 2e-5);
    }

    [Fact]
    public void A_packed_row_alone_has_no_mismatched_answer_and_so_no_estimate()
    {
        // Rows longer than half a bin lie alone. Without z KTO is apo-zero-unpaired.
        using var estimated = new PreferenceRun("kto");
        using var unpaired = new PreferenceRun("kto_apo_zero_unpaired");
        var rows = File.ReadLines(Path.Combine(Folder, "kto.jsonl")).Where(line => line.Count(letter => letter == ',') is > 12 and < 24).ToList();
        Assert.True(rows.Count >= 4);
        var data = estimated.Out("../rows.jsonl");
        File.WriteAllLines(data, rows);
        foreach (var run in new[] { estimated, unpaired })
        {
            run.Options = run.Options with { Packing = true, BatchSize = 1, MaxSteps = 3,
                Data = run.Options.Data with { Train = [new DataSource(data)], MaxSeqLength = 24 } };
            run.Run();
        }
        Assert.Equal(unpaired.Metrics.Select(row => row.GetProperty("loss").GetDouble()), estimated.Metrics.Select(row => row.GetProperty("loss").GetDouble()));
    }

    [Fact]
    public void The_best_checkpoint_and_the_early_end_follow_the_metric_that_was_named()
    {
        using var run = new PreferenceRun("dpo_sigmoid");
        var evals = new List<EvalDone>();
        run.OnEvent = record =>
        {
            if (record is EvalDone eval) evals.Add(eval);
        };
        run.Options = run.Options with
        {
            MetricForBestModel = "logps/chosen", EvalSteps = 1, SaveSteps = 1, SaveTotalLimit = 0, LearningRate = 3e-3,
            Data = run.Options.Data with { Eval = [new DataSource(Path.Combine(Folder, "dpo_ipo.jsonl"))] },
        };
        run.Run();
        var best = evals.Where(eval => eval.Step > 0).MaxBy(eval => eval.Metrics["logps/chosen"])!;
        Assert.NotEqual(best.Step, evals.Where(eval => eval.Step > 0).MinBy(eval => eval.EvalLoss)!.Step);
        using var state = JsonDocument.Parse(File.ReadAllText(run.Out("trainer_state.json")));
        Assert.Equal(best.Step, state.RootElement.GetProperty("best_global_step").GetInt32());
        Assert.Equal(best.Metrics["logps/chosen"], state.RootElement.GetProperty("best_metric").GetDouble());
        Assert.True(evals.Last(eval => eval.IsBest).Step == best.Step);
        Assert.All(run.Metrics.Where(row => row.TryGetProperty("eval_loss", out _)), row => Assert.False(row.TryGetProperty("eval_perplexity", out _)));
    }

    [Theory]
    [InlineData("rewards/accuracy", "is not measured by --objective dpo; use one of loss, rewards/chosen")]
    [InlineData("kl", "is not measured by --objective dpo")]
    public void A_metric_that_nothing_measures_is_refused(string metric, string said)
    {
        using var run = new PreferenceRun("dpo_sigmoid");
        run.Options = run.Options with { MetricForBestModel = metric, EvalSteps = 2 };
        Assert.Contains(said, Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
        run.Options = run.Options with { MetricForBestModel = "rewards/accuracies", EvalSteps = null };
        Assert.Contains("needs --eval-steps", Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_reference_engine_gives_the_same_steps()
    {
        // An adapter on the embedding is what the fast engine leaves to the other one; here its path is taken by a model that needs it.
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Reference });
        Trainer.Adapters.PeftFolder.Load(model, Path.Combine(Folder, "adapter_plain"), 0);
        int[] ids = [1, 5, 9, 14, 3, 2];
        var batch = new TokenBatch(ids, [5, 9, 14, 3, 2, -100], [0, 1, 2, 3, 4, 5], [0, 6], [1f]);
        float[] weights = [0.5f, 0, -1, 2, 0.25f, 0];
        model.Engine.ForwardBackward(new TokenBatch(ids, batch.Targets, batch.Positions, batch.SegmentStarts, [1f]) { Weigh = _ => weights }, 1, null);
        var reference = model.Parameters.GradientSpan.ToArray();
        using var fast = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Fast });
        Trainer.Adapters.PeftFolder.Load(fast, Path.Combine(Folder, "adapter_plain"), 0);
        float[]? losses = null;
        fast.Engine.ForwardBackward(new TokenBatch(ids, batch.Targets, batch.Positions, batch.SegmentStarts,
            [1f]) { Weigh = seen => (losses = seen, weights).weights }, 1, null);
        Assert.True(Golden.LargestDifference(reference, fast.Parameters.GradientSpan.ToArray()) < 1e-5);
        Assert.True(Golden.LargestDifference(model.TokenLosses(batch), losses!) < 1e-5);
    }

    private static void Near(JsonElement expected, JsonElement actual, double gate, string what)
    {
        var (a, b) = (expected.GetDouble(), actual.GetDouble());
        Assert.True(Math.Abs(a - b) <= gate * Math.Max(1, Math.Abs(a)), $"{what}: {a} is {b}");
    }
}
