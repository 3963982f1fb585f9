using Trainer.Engine.Native;
using Trainer.Engine.Tests.Training;
using Trainer.Models;
using Trainer.Training;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

/// <summary>A device whose memory ends: the phase and the figures are told, and the last checkpoint serves.</summary>
[Trait("ring", "model")]
public sealed class FakeMemoryTests
{
    [Fact]
    public void Memory_that_ends_in_a_step_names_it_and_the_run_goes_on_from_its_last_checkpoint()
    {
        using var whole = new GoldenRun("llama31_base", "llama31", 320, 1);
        var expected = whole.Run().AdapterSha256;
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        FakeKernels? device = null;
        run.Options = run.Options with { Loading = options => options with { Kernels = FakeKernels.WithSeed(1, made => device = made) } };
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 6 }) device!.Fails = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
                + "capacity of 7.79 GiB\nException raised";
        };
        var fault = Assert.Throws<MemoryLimitException>(() => run.Run());
        Assert.Equal("out of the device's memory in step 7 of 10: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB; the "
            + "newest checkpoint is whole and resume goes on from it, with a smaller --batch-size or --max-seq-length, --stream on, or a 4-bit base",
            fault.Message);
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(expected, run.Run().AdapterSha256);
    }

    // As libtorch says it, with whom to ask and where behind the first sentence.
    [Theory]
    [InlineData("CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at some other API call\n",
        "CUDA error: unspecified launch failure; look at the card and its driver (nvidia-smi), or leave --device out")]
    [InlineData("The operator 'aten::_foo' is not currently implemented for the MPS device. If you want this op to be added, comment on an issue\n",
        "The operator 'aten::_foo' is not currently implemented for the MPS device; leave --device out")]
    public void A_device_that_is_lost_in_a_step_or_lacks_an_operation_is_named_and_the_last_checkpoint_serves(string said, string told)
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        FakeKernels? device = null;
        run.Options = run.Options with { MaxSteps = 6, Loading = options => options with { Kernels = FakeKernels.WithSeed(1, made => device = made) } };
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 4 }) device!.Fails = said;
        };
        Assert.Equal($"the device failed in step 5 of 6: {told}; the newest checkpoint is whole and resume goes on from it",
            Assert.Throws<DeviceException>(() => run.Run()).Message);
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(6, run.Run().Steps);
    }

    [Fact]
    public void A_device_too_small_for_the_run_is_found_before_the_first_step_with_what_it_holds()
    {
        using var run = new GoldenRun("llama31_base", "llama31", 320, 1);
        run.Options = run.Options with { Loading = options => options with { Engine = EngineKind.Libtorch, Kernels = FakeKernels.OverLibtorch(0, 500_000) } };
        Assert.Matches(@"^out of the device's memory in the longest micro-batch, tried before the first step: the device has no room for \S+ \S+ more for .*, "
            + "where .* held.* of 500000 bytes; no checkpoint was written yet, with a smaller", Assert.Throws<MemoryLimitException>(() => run.Run()).Message);
        Assert.False(File.Exists(run.Out("adapter_model.safetensors")));
    }
}
