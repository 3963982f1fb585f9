using Trainer.Training;

namespace Trainer.Engine.Tests.Training;

/// <summary>The type that a run is computed in is written down, and a later start of it takes what was written.</summary>
[Trait("ring", "model")]
public class ComputeRecordTests
{
    [Fact]
    public void A_small_model_left_to_auto_is_a_float32_run_to_the_byte_and_says_so_in_its_record()
    {
        using var named = Make(ComputeType.Float32);
        using var auto = Make(ComputeType.Auto);
        Assert.Equal(named.Run().AdapterSha256, auto.Run().AdapterSha256);
        Assert.Equal(ComputeType.Float32, Recorded(auto));
    }

    [Fact]
    public void A_run_resumed_with_auto_goes_on_in_the_recorded_type()
    {
        using var whole = Make(ComputeType.BFloat16);
        using var exact = Make(ComputeType.Float32);
        var expected = whole.Run().AdapterSha256;
        Assert.NotEqual(exact.Run().AdapterSha256, expected);
        using var run = Interrupted(ComputeType.BFloat16);
        run.Options = run.Options with { Resume = "auto", Compute = ComputeType.Auto };
        Assert.Equal(expected, run.Run().AdapterSha256);
        Assert.Equal(ComputeType.BFloat16, Recorded(run));
    }

    [Fact]
    public void What_auto_came_to_may_be_named_on_resuming_and_anything_else_is_drift()
    {
        using var run = Interrupted(ComputeType.Auto);
        run.Options = run.Options with { Resume = "auto", Compute = ComputeType.BFloat16 };
        Assert.Contains("--dtype was", Assert.Throws<DriftException>(() => run.Run()).Message, StringComparison.Ordinal);
        run.Options = run.Options with { Compute = ComputeType.Float32 };
        run.Run();
    }

    private static ComputeType? Recorded(GoldenRun run) => RunManifest.Read(run.Out(RunManifest.FileName)).Compute;

    private static GoldenRun Make(ComputeType compute)
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { Compute = compute };
        return run;
    }

    private static GoldenRun Interrupted(ComputeType compute)
    {
        var run = Make(compute);
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 2 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        return run;
    }
}
