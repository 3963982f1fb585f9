using Trainer.Engine.Dropout;
using Trainer.Training;
using Trainer.Training.Optimizers;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

public class OptimizerTests
{
    [Fact]
    public void AdamW_follows_the_published_recurrence_in_double()
    {
        var adam = Optimizer("adamw", 3, weightDecay: 0.01);
        float[] values = [0.5f, -1.25f, 2f];
        double[] p = [0.5, -1.25, 2], m = [0, 0, 0], v = [0, 0, 0];
        var random = new Random(3);
        for (var t = 1; t <= 20; t++)
        {
            float[] gradients = [(float)(random.NextDouble() - 0.5), (float)random.NextDouble(), -1e-3f];
            adam.Step(values, gradients, new OptimizerStep(t, 1e-2, 0.5));
            for (var i = 0; i < 3; i++)
            {
                var g = gradients[i] * 0.5;
                (m[i], v[i]) = (0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g);
                p[i] = p[i] * (1 - 1e-2 * 0.01) - 1e-2 * (m[i] / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, t))) + 1e-8);
            }
        }
        for (var i = 0; i < 3; i++) Assert.Equal(p[i], values[i], 5e-6);
    }

    [Fact]
    public void Without_bias_correction_the_first_step_would_be_ten_times_smaller()
    {
        var adam = Optimizer("adamw", 1, weightDecay: 0);
        float[] values = [0];
        adam.Step(values, new[] { 3f }, new OptimizerStep(1, 0.1, 1));
        Assert.Equal(-0.1, values[0], 1e-6);
    }

    [Fact]
    public void Sgd_follows_the_gradient_and_the_decay()
    {
        float[] values = [1, -2];
        Optimizer("sgd", 2, weightDecay: 0.5).Step(values, new[] { 4f, 0f }, new OptimizerStep(1, 0.1, 0.5));
        Assert.Equal([1 - 0.1f * (2 + 0.5f), -2 - 0.1f * -1], values);
    }

    // torch has these forms too; the reference files do not.
    [Fact]
    public void Rmsprop_centered_and_Adagrad_with_decay_follow_their_recurrences_in_double()
    {
        ParameterEntry[] tensors = [new("x.lora_A.weight", [3], 0)];
        IOptimizer Make(string name, Dictionary<string, string> arguments) => OptimizerTable.Make(
            new HostParameters(tensors, () => new float[3], () => default), Options(0.1) with { Optim = name, OptimArgs = arguments });
        using var rms = Make("rmsprop", new() { ["centered"] = "true", ["alpha"] = "0.9" });
        using var grad = Make("adagrad", new() { ["lr_decay"] = "0.5", ["initial_accumulator_value"] = "0.25", ["eps"] = "1e-6" });
        float[] a = [0.5f, -1.25f, 2f], b = [.. a];
        double[] p = [0.5, -1.25, 2], q = [.. p], v = [0, 0, 0], m = [0, 0, 0], s = [0.25, 0.25, 0.25];
        var random = new Random(5);
        for (var t = 1; t <= 12; t++)
        {
            float[] gradients = [.. Enumerable.Range(0, 3).Select(_ => (float)random.NextDouble() - 0.5f)];
            rms.Step(a, gradients, new OptimizerStep(t, 1e-2, 0.5));
            grad.Step(b, gradients, new OptimizerStep(t, 1e-2, 0.5));
            for (var i = 0; i < 3; i++)
            {
                var (g, h) = (gradients[i] * 0.5 + 0.1 * p[i], gradients[i] * 0.5 + 0.1 * q[i]);
                (v[i], m[i], s[i]) = (0.9 * v[i] + 0.1 * g * g, 0.9 * m[i] + 0.1 * g, s[i] + h * h);
                p[i] -= 1e-2 * g / (Math.Sqrt(v[i] - m[i] * m[i]) + 1e-8);
                q[i] -= 1e-2 / (1 + (t - 1) * 0.5) * h / (Math.Sqrt(s[i]) + 1e-6);
            }
        }
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(p[i], a[i], 1e-5);
            Assert.Equal(q[i], b[i], 5e-6);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_planned_bytes_of_an_optimizer_are_those_it_holds(string name)
    {
        ParameterEntry[] tensors = [new("x.lora_A.weight", [16, 32], 0), new("x.lora_B.weight", [48, 16], 512), new("x.lora_magnitude_vector", [48], 1280)];
        var options = Options(0) with { Optim = name,
            OptimArgs = name == "adamw-8bit" ? new Dictionary<string, string> { ["min_8bit_size"] = "512" } : new Dictionary<string, string>() };
        using var optimizer = OptimizerTable.Make(new HostParameters(tensors, () => new float[1328], () => default), options);
        var scalars = optimizer.State.Where(state => state.Dtype == Trainer.Checkpoints.Safetensors.SafetensorsDtype.F64).Sum(state => state.ByteCount);
        Assert.Equal(optimizer.State.Sum(state => state.ByteCount) - scalars,
            OptimizerTable.StateBytes(options, tensors.Select(tensor => tensor.Shape.ToArray())));
    }

    // Plain state, state in 8 bits, none but momentum, turned matrices, and two sets of weights.
    private static readonly string[] Telling = ["adamw", "adamw-8bit", "sgd", "muon", "schedule-free-adamw"];

    public static IEnumerable<object[]> TellingNames => Rings.Always(Names(), one => Telling.Contains(one[0]));

    public static IEnumerable<object[]> OtherNames => Rings.Slow(Names(), one => Telling.Contains(one[0]));

    [Theory, MemberData(nameof(OtherNames)), Trait("ring", "slow")]
    public void A_run_of_every_optimizer_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped(string name)
        => A_run_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped(name);

    [Theory]
    [MemberData(nameof(TellingNames))]
    public void A_run_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped(string name)
    {
        using var whole = new BigramRun();
        whole.Options = whole.Options with
        {
            Optim = name,
            LrScheduler = OptimizerTable.IsScheduleFree(name) ? "constant" : "cosine",
            OptimArgs = name == "sgd" ? new Dictionary<string, string> { ["momentum"] = "0.9" }
                : name == "rmsprop" ? new Dictionary<string, string> { ["momentum"] = "0.5", ["centered"] = "true" }
                : name == "adamw-8bit" ? new Dictionary<string, string> { ["min_8bit_size"] = "0" } : new Dictionary<string, string>(),
        };
        whole.Run();
        using var run = new BigramRun();
        run.Options = whole.Options with { OutputDirectory = run.Options.OutputDirectory, ModelDirectory = run.Folder };
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 7 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        run.Run();
        Assert.Equal(7, run.Seen.OfType<RunStarted>().Last().FirstStep);
        Assert.Equal(whole.Adapter, run.Adapter);
        Assert.Equal(whole.Metrics, run.Metrics);
    }

    [Fact]
    public void A_checkpoint_of_another_optimizer_is_refused_by_name()
    {
        using var run = new BigramRun();
        run.Options = run.Options with { MaxSteps = 8 };
        run.Run();
        run.Options = run.Options with { Optim = "sgd", MaxSteps = 12, Resume = "auto", AllowDrift = true };
        Assert.Contains("of another adapter or optimizer", Assert.Throws<Trainer.Checkpoints.BadFileException>(() => run.Run()).Message,
            StringComparison.Ordinal);
    }

    public static TheoryData<string> Names() => [.. OptimizerTable.Names];

    private static TrainingOptions Options(double weightDecay) =>
        new() { Model = "", ModelDirectory = "", Data = new Trainer.Data.DataOptions(), OutputDirectory = "", WeightDecay = weightDecay };

    private static IOptimizer Optimizer(string name, int count, double weightDecay) => Optimizer(name, [count], weightDecay);

    private static IOptimizer Optimizer(string name, long[] shape, double weightDecay)
    {
        ParameterEntry[] tensors = [new("x.lora_A.weight", shape, 0)];
        return OptimizerTable.Make(new HostParameters(tensors, () => new float[shape.Aggregate(1L, (product, side) => product * side)], () => default),
            Options(weightDecay) with { Optim = name });
    }

    [Fact]
    public void Clipping_takes_the_global_norm_to_the_limit()
    {
        float[] gradients = [3, 4, 0, 0, 12];
        var norm = GradientNorm.Of(gradients);
        Assert.Equal(13, norm, 1e-12);
        Assert.Equal(1 / 13.000001, GradientNorm.ClipCoefficient(norm, 1), 1e-12);
        Assert.Equal(1, GradientNorm.ClipCoefficient(0.3, 1));
        Assert.Equal(1, GradientNorm.ClipCoefficient(norm, 0));
    }

    [Fact]
    public void The_norm_of_many_blocks_is_right_and_has_the_bits_of_one_thread()
    {
        // Two blocks and a part of a third.
        const int Count = (2 << 20) + 1003;
        var random = new Random(9);
        float[] gradients = [.. Enumerable.Range(0, Count).Select(_ => (float)random.NextDouble() - 0.5f)];
        double On(int threads)
        {
            var before = TorchSharp.torch.get_num_threads();
            TorchSharp.torch.set_num_threads(threads);
            try
            {
                return GradientNorm.Of(gradients);
            }
            finally
            {
                TorchSharp.torch.set_num_threads(before);
            }
        }
        Assert.Equal(Math.Sqrt(gradients.Sum(g => (double)g * g)), On(1), 1e-9);
        Assert.Equal(On(1), On(3));
        gradients[^1] = float.NaN;
        Assert.True(double.IsNaN(On(3)));
    }

    [Theory, InlineData(0), InlineData(3), InlineData(1000), InlineData(1003)]
    public void The_norm_has_the_bits_of_four_running_sums(int count)
    {
        var random = new Random(8);
        float[] gradients = [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
        double a = 0, b = 0, c = 0, d = 0;
        for (var i = 0; i + 4 <= gradients.Length; i += 4)
        {
            a += (double)gradients[i] * gradients[i];
            b += (double)gradients[i + 1] * gradients[i + 1];
            c += (double)gradients[i + 2] * gradients[i + 2];
            d += (double)gradients[i + 3] * gradients[i + 3];
        }
        for (var i = gradients.Length / 4 * 4; i < gradients.Length; i++) a += (double)gradients[i] * gradients[i];
        Assert.Equal(Math.Sqrt(a + b + (c + d)), GradientNorm.Of(gradients));
    }

    [Fact]
    public void A_norm_of_huge_gradients_does_not_overflow_and_a_NaN_shows()
    {
        Assert.True(double.IsFinite(GradientNorm.Of(new[] { 1e30f, 1e30f })));
        Assert.True(double.IsNaN(GradientNorm.Of(new[] { 1, float.NaN, 2, 3, 4 })));
    }

    [Fact]
    public void A_run_with_LoraPlus_moves_B_as_one_with_that_many_times_the_rate()
    {
        // Everything the little model trains is a B, and powers of two scale exactly.
        byte[] Trained(double? ratio, double rate)
        {
            using var run = new BigramRun();
            run.Options = run.Options with { LearningRate = rate, Lora = run.Options.Lora with { LoraPlusRatio = ratio } };
            run.Run();
            return run.Adapter;
        }
        Assert.Equal(Trained(null, 1.0 / 4), Trained(16, 1.0 / 64));
        Assert.NotEqual(Trained(null, 1.0 / 64), Trained(16, 1.0 / 64));
    }

    [Theory]
    [InlineData("adamw", 200_003, 0)]
    [InlineData("adam", 200_003, 0)]
    [InlineData("lion", 200_003, 0)]
    [InlineData("sgd", 200_003, 0)]
    [InlineData("adagrad", 200_003, 0)]
    [InlineData("rmsprop", 200_003, 0)]
    [InlineData("adamw-8bit", 200_003, 0)]
    [InlineData("schedule-free-sgd", 200_003, 0)]
    [InlineData("schedule-free-adamw", 200_003, 0)]
    [InlineData("adafactor", 200_003, 0)]
    [InlineData("adafactor", 1000, 203)]
    [InlineData("muon", 16, 1203)]
    [InlineData("muon", 1203, 16)]
    public void A_step_over_many_values_has_the_bits_of_one_thread(string name, int rows, int columns)
    {
        long[] shape = columns == 0 ? [rows] : [rows, columns];
        var count = rows * Math.Max(1, columns);
        float[] Step(int threads)
        {
            var before = TorchSharp.torch.get_num_threads();
            TorchSharp.torch.set_num_threads(threads);
            try
            {
                var random = new Random(3);
                float[] values = [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)],
                    gradients = [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
                using var optimizer = Optimizer(name, shape, weightDecay: 0.01);
                for (var step = 1; step <= 2; step++) optimizer.Step(values, gradients, new OptimizerStep(step, 0.01, 0.5));
                return values;
            }
            finally
            {
                TorchSharp.torch.set_num_threads(before);
            }
        }
        Assert.Equal(Step(1), Step(3));
    }

    [Fact]
    public void Dropout_scales_what_it_keeps_so_that_the_mean_stays()
    {
        using var made = DropoutMask.Make(new StepKey(1, 2, 3), 4, 40_000, 1, 0.25, TorchSharp.torch.CPU);
        var mask = made.data<float>().ToArray();
        Assert.Equal([0f, 1 / 0.75f], mask.Distinct().Order());
        Assert.Equal(1, mask.Average(), 0.02);
    }

    [Fact]
    public void An_evaluation_is_the_mean_over_trained_tokens()
    {
        using var run = new BigramRun();
        run.Run();
        // Untrained, the little model gives each of its 7 tokens the same chance.
        Assert.Equal(Math.Log(7), run.Seen.OfType<EvalDone>().First(eval => eval.Step == 0).EvalLoss, 1e-6);
    }

    [Fact]
    public void LoraPlus_gives_B_its_own_rate_and_leaves_no_gap()
    {
        ParameterEntry[] tensors = [new("x.lora_A.weight", [4, 4], 0), new("x.lora_B.weight", [4, 4], 16), new("y.lora_A.weight", [2, 3], 32),
            new("y.lora_B.weight", [3], 48), new("z.lora_embedding_A", [2, 2], 64), new("z.lora_embedding_B", [4], 80)];
        var groups = ParameterGroups.Of(tensors, 16, 1e-4);
        // The embedding's rate is 1e-6, whatever the others': PEFT's default.
        Assert.Equal([(0L, 16L, 1.0), (16, 16, 16.0), (32, 6, 1.0), (48, 3, 16.0), (64, 20, 1e-6 / 1e-4)],
            groups.Select(group => (group.Begin, group.Count, group.RateFactor)));
        var one = Assert.Single(ParameterGroups.Of(tensors, null, 1e-4));
        Assert.Equal((0L, 84L), (one.Begin, one.Count));
    }
}
