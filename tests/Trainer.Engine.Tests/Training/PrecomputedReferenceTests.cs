using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Engine.Tests.Training;

/// <summary>A reference that was asked beforehand says what it says when it is asked in each step.</summary>
[Trait("ring", "model")]
public sealed class PrecomputedReferenceTests : IDisposable
{
    private readonly string _cache = Directory.CreateTempSubdirectory("reference-").FullName;

    public void Dispose() => Directory.Delete(_cache, recursive: true);

    [Theory]
    [InlineData("dpo_sigmoid")]
    [InlineData("dpo_ld_alpha")]
    [InlineData("dpo_continue_adapter")]
    [InlineData("kto")]
    public void A_run_is_the_same_with_what_was_asked_beforehand(string name)
    {
        using var live = new PreferenceRun(name);
        live.Options = live.Options with { MaxSteps = 4 };
        live.Run();
        using var asked = Asked(name);
        asked.Run();
        foreach (var (one, other) in live.Metrics.Zip(asked.Metrics))
            Assert.Equal(one.GetProperty("loss").GetDouble(), other.GetProperty("loss").GetDouble(), 1e-5);
        Assert.True(asked.DifferenceFrom(live.Out("adapter_model.safetensors")) < 1e-5);
    }

    [Fact]
    public void The_second_run_reads_what_the_first_one_kept_and_another_adapter_asks_again()
    {
        using var first = Asked("dpo_continue_adapter");
        var expected = first.Run().AdapterSha256;
        var kept = Assert.Single(Kept());
        using var second = Asked("dpo_continue_adapter");
        Assert.Equal((expected, 0), (second.Run().AdapterSha256, Phases(second)));
        // Of the raw base other values hold, in a file of their own.
        using var other = Asked("dpo_continue_adapter");
        other.Options = other.Options with { Preference = other.Options.Preference with { Reference = "base" } };
        Assert.NotEqual(expected, other.Run().AdapterSha256);
        Assert.Equal(2, Kept().Length);
        // A file that is not what it was is made again.
        var bytes = File.ReadAllBytes(kept);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(kept, bytes);
        using var third = Asked("dpo_continue_adapter");
        Assert.Equal((expected, 1), (third.Run().AdapterSha256, Math.Sign(Phases(third))));
    }

    [Fact]
    public void A_resumed_run_knows_the_same_reference_and_so_gives_the_same_bytes()
    {
        using var whole = Asked("dpo_continue_adapter");
        whole.Options = whole.Options with { MaxSteps = 6 };
        var expected = whole.Run().AdapterSha256;
        using var run = Asked("dpo_continue_adapter");
        run.Options = run.Options with { MaxSteps = 6, SaveSteps = 2 };
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 3 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        foreach (var file in Kept()) File.Delete(file);
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(expected, run.Run().AdapterSha256);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_streamed_base_is_the_same_reference(bool isAskedBeforehand)
    {
        string Trained(Choice stream)
        {
            using var run = isAskedBeforehand ? Asked("dpo_sigmoid") : new PreferenceRun("dpo_sigmoid");
            run.Options = run.Options with { MaxSteps = 3, Stream = stream, Quantize = Trainer.Models.QuantizeKind.Nf4, DoubleQuant = false };
            return run.Run().AdapterSha256;
        }
        Assert.Equal(Trained(Choice.Off), Trained(Choice.On));
    }

    [Theory]
    [InlineData("simpo_lf", null)]
    [InlineData("dpo_sigmoid", "none")]
    public void Where_there_is_no_reference_asking_it_is_refused(string name, string? reference)
    {
        using var run = Asked(name);
        if (reference is not null) run.Options = run.Options with { Preference = run.Options.Preference with { Reference = reference } };
        Assert.Contains("has no reference to ask", Assert.Throws<OptionException>(() => run.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_kept_in_memory_is_planned()
    {
        using var run = Asked("dpo_sigmoid");
        RunPlan? plan = null;
        run.OnEvent = record => plan = record is Planned planned ? planned.Plan : plan;
        run.Run();
        Assert.Equal(4 * plan!.Tokens, plan.Memory.Single(part => part.Name == "what the reference says").Bytes);
    }

    private string[] Kept() => Directory.GetFiles(_cache, "*.reference.tokens");

    private readonly Dictionary<PreferenceRun, int> _phases = [];

    private int Phases(PreferenceRun run) => _phases.GetValueOrDefault(run);

    private PreferenceRun Asked(string name)
    {
        var run = new PreferenceRun(name);
        run.Options = run.Options with { MaxSteps = 4, Preference = run.Options.Preference with { PrecomputeReference = true },
            Data = run.Options.Data with { CacheDirectory = _cache } };
        run.OnEvent = record =>
        {
            if (record is PhaseProgressed { Phase: "asking the reference" }) _phases[run] = _phases.GetValueOrDefault(run) + 1;
        };
        return run;
    }
}
