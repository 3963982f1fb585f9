using Trainer.Engine.Native;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Tests.Training;
using Trainer.Models;
using Trainer.Training;

namespace Trainer.Engine.Tests.Fast;

/// <summary>Whole runs over libtorch's operations, as on any device but here on the processor: the goldens' gates hold.</summary>
[Trait("ring", "slow")]
public sealed class LibtorchRunTests
{
    [Theory]
    [InlineData("llama31_base", "llama31", 320, 1, "traj")]
    [InlineData("llama31_base", "llama31", 320, 2, "traj_accum2_tokens")]
    [InlineData("qwen2_base", "qwen2", 300, 1, "traj")]
    [InlineData("gemma2_all_linear", "gemma2", 256, 1, "traj")]
    [InlineData("llama31_dora", "llama31", 320, 1, "traj")]
    [InlineData("llama31_modules_to_save", "llama31", 320, 1, "traj")]
    public void A_run_reproduces_the_reference_trajectory(string adapter, string model, int vocabulary, int accumulation, string trajectory)
    {
        using var run = Run(adapter, model, vocabulary, accumulation);
        run.Run();
        var expected = Golden.Expected(Golden.Folder("lora", adapter)).GetProperty(trajectory);
        for (var step = 0; step < 10; step++)
        {
            Assert.Equal(expected.GetProperty("losses")[step].GetDouble(), run.Metrics[step].GetProperty("loss").GetDouble(), Golden.TrajectoryGate);
            Assert.Equal(expected.GetProperty("grad_norms")[step].GetDouble(), run.Metrics[step].GetProperty("grad_norm").GetDouble(), 1e-3);
        }
    }

    [Fact]
    public void A_run_on_a_4_bit_base_stopped_and_resumed_gives_the_bytes_of_one_that_never_stopped()
    {
        using var whole = Packed();
        var expected = whole.Run().AdapterSha256;
        using var run = Packed();
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

    // What no optimizer does on the device goes through the host; what must not change is put back there.
    [Theory]
    [InlineData("lion", false), InlineData("adamw", true)]
    public void Values_on_a_device_step_as_those_of_the_host(string optimizer, bool freezesA)
    {
        var adapters = new List<float[]>();
        foreach (var device in (string[])["cpu", ComputeDevice.Stand])
        {
            using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
            run.Options = run.Options with { Device = device, Optim = optimizer, MaxSteps = 4, LearningRate = 1e-4,
                Lora = run.Options.Lora with { FreezeA = freezesA } };
            run.Run();
            using var file = Trainer.Checkpoints.Safetensors.SafetensorsFile.Open(run.Out("adapter_model.safetensors"));
            adapters.Add([.. file.Entries.OrderBy(entry => entry.Name, StringComparer.Ordinal).SelectMany(entry => Golden.Floats(file, entry.Name))]);
        }
        Assert.InRange(Golden.LargestDifference(adapters[0], adapters[1]), 0, 2e-5);
    }

    private static GoldenRun Packed()
    {
        var run = Run("llama31_base", "llama31", 320, 2);
        run.Options = run.Options with { Quantize = QuantizeKind.Nf4, Lora = run.Options.Lora with { Dropout = 0.1 } };
        return run;
    }

    private static GoldenRun Run(string adapter, string model, int vocabulary, int accumulation)
    {
        var run = new GoldenRun(adapter, model, vocabulary, accumulation);
        run.Options = run.Options with { Device = ComputeDevice.Stand };
        return run;
    }
}
