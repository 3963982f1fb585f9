using TorchSharp;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Training;
using Trainer.Training.Objectives;
using Trainer.Training.Rollouts;
using static TorchSharp.torch;

namespace Trainer.Engine.Tests.Training;

/// <summary>The loss of made-up answers and its gradient equal the published formulas, written out with padding, masks and autograd.</summary>
[Trait("ring", "unit")]
public class GrpoLossTests
{
    private static readonly int[] Lengths = [3, 5, 1, 4];

    public static TheoryData<string, string, double, bool> Cases()
    {
        var cases = new TheoryData<string, string, double, bool>();
        foreach (var type in GrpoLoss.Names)
            foreach (var level in new[] { "token", "sequence" })
                foreach (var beta in new[] { 0, 0.3 })
                    foreach (var masks in new[] { false, true }) cases.Add(type, level, beta, masks);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_and_gradient_equal_the_formulas_by_autograd(string type, string level, double beta, bool masks)
    {
        var options = Options(type, level, beta);
        var (first, second) = (Batch(3, beta, masks ? 1 : -1), Batch(8, beta, -1));
        var objective = new GrpoObjective(options);
        var loss = new GrpoLoss(options);
        var divisor = objective.Divisor([first.Batch, second.Batch]);
        double sum = 0;
        var metrics = new MetricSums(objective.Metrics);
        foreach (var (batch, policy, mask) in new[] { first, second })
        {
            var weights = new float[policy.Length];
            sum += loss.Sum(batch, policy, weights, metrics);
            // TRL's numbers of the step: micro-batches in it, tokens of all answers, cut ones included.
            var (expected, gradient) = Published(options, batch, policy, mask, steps: 2, allTokens: 2 * Lengths.Sum());
            var part = new float[policy.Length];
            Assert.Equal(expected, loss.Sum(batch, policy, part, new MetricSums(objective.Metrics)) / divisor, 1e-6);
            for (var t = 0; t < weights.Length; t++) Assert.Equal(gradient[t], weights[t] / divisor, 1e-6);
        }
        Assert.True(metrics.Means()["clip_ratio/region_mean"] is > 0 and < 1);
        Assert.Equal(beta > 0, metrics.Means().ContainsKey("kl"));
    }

    [Fact]
    public void Without_an_earlier_model_the_gradient_is_that_of_the_advantages_alone()
    {
        var options = Options("dapo", "token", 0);
        var (batch, policy, _) = Batch(3, 0, -1);
        batch = batch.Told(null, batch.Rollout! with { SampledLosses = null });
        var weights = new float[policy.Length];
        var sum = new GrpoLoss(options).Sum(batch, policy, weights, new MetricSums(new GrpoObjective(options).Metrics));
        Assert.Equal(-Enumerable.Range(0, 4).Sum(i => batch.Rollout!.Advantages[i] * (double)Lengths[i]), sum, 1e-5);
        for (var segment = 0; segment < 4; segment++)
            for (var t = batch.AnswerStarts[segment] - 1; t < batch.SegmentStarts[segment + 1] - 1; t++)
                Assert.Equal(batch.Rollout!.Advantages[segment], weights[t]);
    }

    // Policies drift by up to 0.6 in log p, so ratios leave 1 by more than the clip.
    private static (MicroBatch Batch, float[] Policy, bool[] Mask) Batch(int seed, double beta, int masked)
    {
        var random = new Random(seed);
        bool[] mask = [.. Lengths.Select((_, i) => i != masked)];
        float[] advantages = [.. Lengths.Select(_ => (float)(2 * random.NextDouble() - 1))];
        int[] prompt = [1, 2, 3];
        var batch = AnswerBatch.Of([.. Lengths.Select((length, i) => (prompt, Enumerable.Repeat(7, length).ToArray(), mask[i], new RowSource("p", 1)))],
            new Rollout(advantages, null, new Dictionary<string, double>()));
        float[] Near(float[] others, double far) => [.. others.Select(value => (float)(value + far * (2 * random.NextDouble() - 1)))];
        var policy = Near([.. batch.TokenIds.Select(_ => 2f)], 1);
        return (batch.Told(beta > 0 ? Near(policy, 0.5) : null, new Rollout(advantages, Near(policy, 0.6), new Dictionary<string, double>())), policy, mask);
    }

    // TRL's grpo_trainer, in its own shapes: answers padded to the longest, one mask, one number at the end.
    private static (double Loss, float[] Gradient) Published(TrainingOptions options, MicroBatch batch, float[] policy, bool[] mask, int steps, int allTokens)
    {
        using var scope = NewDisposeScope();
        var (rows, most) = (Lengths.Length, Lengths.Max());
        int At(int row, int t) => batch.AnswerStarts[row] - 1 + t;
        Tensor Padded(Func<int, int, double> value) => tensor(
            [.. Enumerable.Range(0, rows).SelectMany(row => Enumerable.Range(0, most).Select(t => t < Lengths[row] ? value(row, t) : 0))],
            [rows, most], dtype: ScalarType.Float64);
        var logps = Padded((row, t) => -policy[At(row, t)]).requires_grad_(true);
        var old = Padded((row, t) => -batch.Rollout!.SampledLosses![At(row, t)]);
        var here = Padded((row, t) => mask[row] ? 1 : 0);
        var advantages = tensor([.. batch.Rollout!.Advantages.Select(a => (double)a)], [rows, 1], dtype: ScalarType.Float64);
        var drift = logps - old;
        var mean = (drift * here).sum(1, keepdim: true) / here.sum(1, keepdim: true).clamp_min(1);
        var coefficients = (options.Grpo.ImportanceLevel == "token" ? drift : mean).exp();
        var clipped = coefficients.clamp(1 - options.Grpo.Epsilon, 1 + options.Grpo.EpsilonHigh!.Value);
        var each = -minimum(coefficients * advantages, clipped * advantages);
        if (options.Preference.Beta > 0)
        {
            var apart = Padded((row, t) => -batch.ReferenceLosses![At(row, t)]) - logps;
            each = each + options.Preference.Beta * (apart.exp() - apart - 1);
        }
        var loss = options.Preference.LossType[0] switch
        {
            "grpo" => ((each * here).sum(1) / here.sum(1).clamp_min(1)).mean() / steps,
            "bnpo" => (each * here).sum() / here.sum().clamp_min(1) / steps,
            "dr-grpo" => (each * here).sum() / (rows * options.Grpo.MaxCompletionLength) / steps,
            _ => (each * here).sum() / allTokens,
        };
        loss.backward();
        var slopes = logps.grad!.data<double>().ToArray();
        var gradient = new float[policy.Length];
        for (var row = 0; row < rows; row++)
            for (var t = 0; t < Lengths[row]; t++) gradient[At(row, t)] = (float)-slopes[row * most + t];
        return (loss.item<double>(), gradient);
    }

    private static TrainingOptions Options(string type, string level, double beta) => new()
    {
        Model = "tiny", ModelDirectory = ReferenceData.Embedded, Data = new DataOptions(), OutputDirectory = "", Objective = "grpo",
        Preference = new PreferenceOptions { Beta = beta, LossType = [type] },
        Grpo = new GrpoOptions { Epsilon = 0.2, EpsilonHigh = 0.28, ImportanceLevel = level, MaxCompletionLength = 6, NumGenerations = 4 },
    };

    [Fact]
    public void Advantages_are_distances_from_the_group_by_its_spread()
    {
        var options = new GrpoOptions { NumGenerations = 2, RewardCommands = ["./a", "./b"], RewardWeights = [1, 0.5] };
        double?[][] rewards = [[1, 2], [3, null], [5, 0], [5, 0]];
        var groups = RolloutMeasures.Of(options, rewards, [4, 8, 2, 2], [false, true, false, false]);
        // Totals 2, 3, 5, 5: the first group is 0.5 off its mean with a spread of sqrt(0.5), the second has none.
        var spread = Math.Sqrt(0.5);
        Assert.Equal([-0.5 / (spread + 1e-4), 0.5 / (spread + 1e-4), 0, 0], groups.Advantages.Select(a => (double)a), (a, b) => Math.Abs(a - b) < 1e-6);
        var measured = groups.Measured;
        Assert.Equal((3.75, spread / 2, 0.5), (measured["reward"], measured["reward_std"], measured["frac_reward_zero_std"]));
        Assert.Equal((4, 2, 8, 0.25, 8.0 / 3), (measured["completions/mean_length"], measured["completions/min_length"], measured["completions/max_length"],
            measured["completions/clipped_ratio"], measured["completions/mean_terminated_length"]));
        Assert.Equal((3.5, 2.0 / 3), (measured["rewards/a/mean"], measured["rewards/b/mean"]));
        Assert.Equal(Math.Sqrt(11.0 / 3), measured["rewards/a/std"], 1e-9);
        Assert.All(measured.Keys, name => Assert.Contains(name, RolloutMeasures.Names(options)));
        var batch = RolloutMeasures.Of(options with { ScaleRewards = "batch" }, rewards, [4, 8, 2, 2], [false, true, false, false]);
        Assert.Equal(0.5 / (1.5 + 1e-4), batch.Advantages[1], 1e-6);
        Assert.Equal(0.5, RolloutMeasures.Of(options with { ScaleRewards = "none" }, rewards, [4, 8, 2, 2], [false, true, false, false]).Advantages[1], 1e-6);
    }
}
