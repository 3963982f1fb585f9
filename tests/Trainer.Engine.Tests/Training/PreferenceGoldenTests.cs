using System.Runtime.InteropServices;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Engine.Tests.Models;
using Trainer.Models;
using Trainer.Training;
using Trainer.Training.Options;

namespace Trainer.Engine.Tests.Training;

/// <summary>Ten steps of every preference objective equal those of TRL and LLaMA-Factory: losses, norms, metrics, and the adapters where they are kept.</summary>
[Trait("ring", "model")]
public class PreferenceGoldenTests
{
    private const double Gate = 1e-4;
    private static readonly string Folder = Path.Combine(Golden.Fixtures, "preference");

    public static TheoryData<string> Cases() =>
        [.. Directory.GetFiles(Folder, "*.jsonl").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
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
        fast.Engine.ForwardBackward(new TokenBatch(ids, batch.Targets, batch.Positions, batch.SegmentStarts, [1f]) { Weigh = seen => (losses = seen, weights).weights }, 1, null);
        Assert.True(Golden.LargestDifference(reference, fast.Parameters.GradientSpan) < 1e-5);
        Assert.True(Golden.LargestDifference(model.TokenLosses(batch), losses!) < 1e-5);
    }

    private static void Near(JsonElement expected, JsonElement actual, double gate, string what)
    {
        var (a, b) = (expected.GetDouble(), actual.GetDouble());
        Assert.True(Math.Abs(a - b) <= gate * Math.Max(1, Math.Abs(a)), $"{what}: {a} is {b}");
    }
}
