using Trainer.Data;
using Trainer.Engine.Passes;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Plan;
using Trainer.Training.Records;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>What an evaluation and a plan say of a preference run is what the run measures and does.</summary>
[Trait("ring", "model")]
public class PreferenceEvaluationTests
{
    [Theory]
    [InlineData("dpo_sigmoid", 2)]
    [InlineData("kto", 4)]
    [InlineData("orpo_lf", 2)]
    [InlineData("simpo_lf", 2)]
    public void An_evaluation_measures_what_a_run_measures_of_held_out_rows(string name, int batch)
    {
        using var run = new PreferenceRun(name);
        EvalDone? first = null;
        run.OnEvent = record => first ??= record as EvalDone;
        run.Options = run.Options with { MaxSteps = 1, Data = run.Options.Data with { Eval = run.Options.Data.Train } };
        run.Run();
        var options = run.Options with { BatchSize = batch,
            Preference = run.Options.Preference with { Reference = ObjectiveTable.HasReference(run.Options.Objective) ? "base" : null } };
        var result = PreferenceEvaluation.Run(options, name != "kto", [], default);
        Assert.Equal(first!.EvalLoss, result.Loss, 1e-5);
        Assert.Equal(first.Metrics.Keys, result.Metrics.Keys);
        // Mean logits are means over the tokens of a batch, as TRL has them: those of other batches are others.
        Assert.All(first.Metrics.Where(metric => !PairMetrics.Logits.Contains(metric.Key)),
            metric => Assert.Equal(metric.Value, result.Metrics[metric.Key], 1e-5));
        if (name != "kto") Assert.Equal(result.Metrics["rewards/accuracies"], result.Rows.Average(row => row.Metrics["rewards/accuracies"]), 1e-9);
        if (name != "dpo_sigmoid") return;
        // Nothing separates the base from itself.
        Assert.Equal(Math.Log(2), result.Base!.Loss, 1e-6);
        Assert.Equal((0, 0), (result.Base.Metrics["rewards/margins"], result.Base.Metrics["rewards/accuracies"]));
        Assert.NotEqual(result.Metrics["logps/chosen"], result.Base.Metrics["logps/chosen"], 1e-2);
    }

    [Fact]
    public void A_labelled_row_alone_in_the_last_batch_has_no_estimate()
    {
        using var estimated = new PreferenceRun("kto");
        var rows = File.ReadLines(estimated.Options.Data.Train[0].Path).Take(3).ToList();
        var data = estimated.Out("../odd.jsonl");
        File.WriteAllLines(data, rows);
        estimated.Options = estimated.Options with { BatchSize = 2, GradientAccumulationSteps = 1, MaxSteps = 2,
            Data = estimated.Options.Data with { Train = [new DataSource(data)] } };
        estimated.Run();
        Assert.Equal(0, estimated.Metrics[1].GetProperty("kl").GetDouble());
    }

    [Fact]
    public void Mismatched_answers_are_planned_as_tokens_of_their_own()
    {
        using var run = new PreferenceRun("kto");
        using var data = DataLoading.Open(run.Options with { Data = run.Options.Data with { Eval = run.Options.Data.Train } }, new Events([]));
        RunPlan Plan(string type)
            => RunPlanner.Plan(run.Options with { BatchSize = 2, GradientCheckpointing = Checkpointing.On,
                Preference = run.Options.Preference with { LossType = [type] } }, data);
        Assert.True(Plan("kto").PeakBytes > Plan("apo-zero-unpaired").PeakBytes);
    }

    [Theory]
    [InlineData("dpo", null, false, 1)]
    [InlineData("dpo", null, true, 0)]
    [InlineData("dpo", "none", false, 0)]
    [InlineData("kto", null, false, 3)]
    [InlineData("kto", null, true, 2)]
    [InlineData("simpo", null, false, 0)]
    public void Forward_passes_beside_the_trained_one_are_those_that_a_step_makes(string objective, string? reference, bool precompute, int extra)
    {
        using var run = new PreferenceRun(objective == "kto" ? "kto" : objective == "dpo" ? "dpo_sigmoid" : "simpo_lf");
        run.Options = run.Options with { Preference = run.Options.Preference with { Reference = reference, PrecomputeReference = precompute } };
        Assert.Equal(extra, ObjectiveTable.ExtraPasses(run.Options));
        using var data = new TrainingData(run.Options, DataLoading.Open(run.Options, new Events([])));
        using var model = AdaptedModel.Load(run.Options, new Events([]));
        var batch = Probe.Asked(run.Options, data.Step(0)[0]);
        var counted = new CountedModel(model);
        ObjectiveTable.Make(run.Options, model).ForwardBackward(counted, batch, 1, new StepKey(0, 0, 0), new MetricSums(ObjectiveTable.Metrics(run.Options)));
        // One pass is trained, whatever is compared.
        Assert.Equal((batch.TokenIds.Length, extra * batch.TokenIds.Length), (counted.TrainedTokens, counted.ForwardTokens));
    }

    [Fact]
    public void Weights_that_come_late_cost_no_second_product_and_give_the_same_gradient()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Fast });
        Trainer.Adapters.PeftFolder.Load(model, Path.Combine(Golden.Fixtures, "preference", "adapter_plain"), 0);
        // Enough logits that they are not computed twice.
        var (segments, length) = (60, 64);
        int[] ids = [.. Enumerable.Range(0, segments * length).Select(t => t * 7 % 320)];
        int[] targets = [.. ids.Select((_, t) => t % length == length - 1 ? -100 : ids[t + 1])];
        float[] weights = [.. Enumerable.Range(0, segments).Select(segment => 0.01f * (segment % 5 - 2))];
        (double Operations, float[] Gradient) Pass(float[] ofSegments, Func<float[], float[]>? weigh)
        {
            var meter = ((global::Trainer.Engine.Fast.FastEngine)model.Engine).Meter;
            meter.Clear();
            model.Parameters.ZeroGradients();
            model.ForwardBackward(new TokenBatch(ids, targets, [.. ids.Select((_, t) => t % length)],
                [.. Enumerable.Range(0, segments + 1).Select(segment => segment * length)], ofSegments) { Weigh = weigh }, 1, null);
            return (meter.AllOperations, model.Parameters.GradientSpan.ToArray());
        }
        var plain = Pass(weights, null);
        var late = Pass([.. Enumerable.Repeat(1f, segments)], losses => [.. losses.Select((_, t) => weights[t / length])]);
        Assert.Equal(plain.Operations, late.Operations);
        Assert.True(Golden.LargestDifference(plain.Gradient, late.Gradient) < 1e-5 * plain.Gradient.Max(Math.Abs));
    }

    [Fact]
    public void Asking_the_reference_beforehand_is_planned_and_then_steps_and_evaluations_make_a_pass_less()
    {
        Assert.Equal(1000 * 0.01 / 2, PlanTime.ReferenceSeconds(1000, 0.01, recompute: false, 0), 9);
        Assert.Equal(1000 * 0.01 * 2 / 3, PlanTime.EvaluationSeconds(1000, 0.01, recompute: false, extraPasses: 1), 9);
        using var run = new PreferenceRun("dpo_sigmoid");
        using var data = DataLoading.Open(run.Options, new Events([]));
        double? Seconds(bool precompute) => RunPlanner.Plan(run.Options with { Preference = run.Options.Preference with { PrecomputeReference = precompute } },
            data, 1).Seconds;
        Assert.True(Seconds(true) > Seconds(false));
    }

    [Theory]
    [InlineData("dpo_sigmoid")]
    [InlineData("kto")]
    [InlineData("orpo_trl")]
    public void A_plan_without_rows_is_measured_on_rows_of_the_objective(string name)
    {
        using var run = new PreferenceRun(name);
        run.Options = run.Options with { AllowHighLoss = true, Data = run.Options.Data with { MaxSeqLength = 24 } };
        Assert.True(PlanProbe.Measure(run.Options, RunPlanner.Plan(run.Options), null, []).MicroStepSeconds > 0);
    }

    /// <summary>Counts the tokens that a step passes through the model.</summary>
    private sealed class CountedModel(IAdaptedModel model) : IAdaptedModel
    {
        public long TrainedTokens { get; private set; }

        public long ForwardTokens { get; private set; }

        public IParameterStore Parameters => model.Parameters;

        public long TotalParameters => model.TotalParameters;

        public int VocabularySize => model.VocabularySize;

        public int Threads => model.Threads;

        public ComputeKind Compute => model.Compute;

        public double ForwardBackward(MicroBatch batch, double lossScale, StepKey key)
        {
            TrainedTokens += batch.TokenIds.Length;
            return model.ForwardBackward(batch, lossScale, key);
        }

        public double ForwardBackward(MicroBatch batch, Func<float[], float[]> weigh, StepKey key, double balance = 0, float[]? logitMeans = null)
        {
            TrainedTokens += batch.TokenIds.Length;
            return model.ForwardBackward(batch, weigh, key, balance, logitMeans);
        }

        public float[] BaseTokenLosses(MicroBatch batch)
        {
            ForwardTokens += batch.TokenIds.Length;
            return model.BaseTokenLosses(batch);
        }

        public float[] TokenLosses(MicroBatch batch, float[]? logitMeans = null)
        {
            ForwardTokens += batch.TokenIds.Length;
            return model.TokenLosses(batch, logitMeans);
        }

        public float[] Logits(MicroBatch batch) => model.Logits(batch);

        public ulong BaseChecksum() => model.BaseChecksum();

        public void WriteAdapter(string directory) => model.WriteAdapter(directory);

        public float[] LogitsFromDisk(string directory, MicroBatch batch) => model.LogitsFromDisk(directory, batch);

        public IEnumerable<string> ReaderVerdicts(string directory) => model.ReaderVerdicts(directory);

        public string? FindNonFinite(MicroBatch batch) => model.FindNonFinite(batch);

        public void Dispose()
        {
        }
    }
}
