using Trainer.Models;
using Trainer.Training;
using Trainer.Training.State;

namespace Trainer.Engine.Tests.Training;

/// <summary>The type that a run is computed in is written down, and a later start of it takes what was written.</summary>
[Trait("ring", "model")]
public class ComputeRecordTests
{
    [Fact]
    public void A_small_model_left_to_auto_is_a_float32_run_to_the_byte_and_says_so_in_its_record()
    {
        using var named = Make(ComputeKind.Float32);
        using var auto = Make(ComputeKind.Auto);
        Assert.Equal(named.Run().AdapterSha256, auto.Run().AdapterSha256);
        Assert.Equal(ComputeKind.Float32, Recorded(auto));
    }

    [Fact]
    public void A_run_resumed_with_auto_goes_on_in_the_recorded_type()
    {
        using var whole = Make(ComputeKind.BFloat16);
        using var exact = Make(ComputeKind.Float32);
        var expected = whole.Run().AdapterSha256;
        Assert.NotEqual(exact.Run().AdapterSha256, expected);
        using var run = Interrupted(ComputeKind.BFloat16);
        run.Options = run.Options with { Resume = "auto", Compute = ComputeKind.Auto };
        Assert.Equal(expected, run.Run().AdapterSha256);
        Assert.Equal(ComputeKind.BFloat16, Recorded(run));
    }

    [Fact]
    public void What_auto_came_to_may_be_named_on_resuming_and_anything_else_is_drift()
    {
        using var run = Interrupted(ComputeKind.Auto);
        run.Options = run.Options with { Resume = "auto", Compute = ComputeKind.BFloat16 };
        Assert.Contains("--dtype was", Assert.Throws<DriftException>(() => run.Run()).Message, StringComparison.Ordinal);
        run.Options = run.Options with { Compute = ComputeKind.Float32 };
        run.Run();
    }

    private static ComputeKind? Recorded(GoldenRun run) => RunManifest.Read(run.Out(RunManifest.FileName)).Compute;

    private static GoldenRun Make(ComputeKind compute)
    {
        var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { Compute = compute };
        return run;
    }

    private static GoldenRun Interrupted(ComputeKind compute)
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
