using Trainer.Adapters;
using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Tests.Models;
using Trainer.Engine.Tests.Training;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Lora;
using Trainer.Training;

namespace Trainer.Engine.Tests.Fast.FakeDevice;

[Trait("ring", "model")]
public sealed class FakeDeviceTests
{
    // llama31: subsets of rows; gemma2: caps, norms after the blocks; qwen2: biases; phi3: fused projections.
    [Theory]
    [InlineData("llama31", true, 0, false), InlineData("llama31", false, 0.3, true), InlineData("gemma2", true, 0, true), InlineData("qwen2", false, 0, false),
        InlineData("phi3", true, 0.3, true)]
    public void A_training_step_on_a_device_that_runs_behind_has_the_processors_bits(string name, bool checkpointing, double dropout, bool dora)
    {
        var expected = FastRun.Gradients(name, EngineKind.Fast, checkpointing, dropout, false, dora: dora);
        for (var seed = 0; seed < 3; seed++)
        {
            using var model = FastRun.Adapted(name, EngineKind.Fast, checkpointing, dropout, ComputeKind.Auto, dora);
            FakeKernels? device = null;
            using var engine = Engine(model, seed, made => device = made);
            var loss = engine.ForwardBackward(FastRun.Batch(model.Config.VocabularySize, false), 0.125, new StepKey(1, 2, 3)).LossSum;
            Assert.Equal(expected.Loss, loss);
            foreach (var entry in model.Parameters.Entries) Assert.Equal(expected.Gradients[entry.Name], model.Parameters.GradientsOf(entry).ToArray());
            Assert.True(device!.Longest > 10, "the device never ran behind");
            Assert.True(device.Waits <= 1, $"the host waited {device.Waits} times in one pass");
        }
    }

    [Fact]
    public void Evaluation_and_continued_texts_run_on_it()
    {
        using var model = CausalModel.Load(Golden.Folder("llama31"), new ModelLoadOptions { Engine = EngineKind.Fast, Quantize = QuantizeKind.Nf4 });
        AdapterInjector.Inject(model, new LoraSpec { Rank = 4, UseDora = true }, 1);
        FastRun.Randomize(model);
        using var engine = Engine(model, 5);
        var batch = FastRun.Batch(model.Config.VocabularySize, false);
        Assert.Equal(model.TokenLosses(batch), engine.TokenLosses(batch));
        using var logits = engine.Logits(batch);
        using var expected = model.Logits(batch);
        Assert.Equal(expected.data<float>().ToArray(), logits.data<float>().ToArray());
        using FastDecoder here = new(model, (FastEngine)model.Engine), there = new(model, engine);
        // More tokens than the first room of keys and values holds.
        foreach (var length in (int[])[60, 1, 9, 1])
        {
            int[] ids = [.. Enumerable.Range(0, length).Select(i => 1 + i * 37 % 90)];
            Assert.Equal(here.Next(ids).ToArray(), there.Next(ids).ToArray());
        }
    }

    [Fact]
    public void What_was_not_waited_for_is_not_there_and_memory_of_the_host_is_refused()
    {
        var shape = new FastShape(ConfigLoader.Load(Golden.Folder("llama31")));
        var host = new CpuKernels(shape, ComputeKind.Float32, new PanelPlan());
        // A seed whose first operations all wait.
        var device = new FakeKernels(host, 0);
        using var memory = host.Allocate(64);
        var real = new Place(memory, 0);
        host.Fill(real, 16, 1f);
        using var tensor = TorchSharp.torch.ones(16);
        device.Fill(device.Of(tensor), 16, 2f);
        Assert.Equal(1f, tensor.data<float>()[0]);
        device.Synchronize();
        Assert.Equal(2f, tensor.data<float>()[0]);
        device.Fill(real, 16, 3f);
        Assert.Contains("memory of the host", Assert.Throws<InvalidOperationException>(device.Synchronize).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidCastException>(() => host.Fill(device.Of(tensor), 16, 4f));
        var gone = device.Allocate(64);
        device.Fill(new Place(gone, 0), 16, 5f);
        gone.Dispose();
        Assert.Contains("given back", Assert.Throws<InvalidOperationException>(device.Synchronize).Message, StringComparison.Ordinal);
    }

    [Theory, InlineData(0), InlineData(1)]
    public void A_whole_run_on_it_stopped_and_resumed_gives_the_processors_bytes(int seed)
    {
        using var whole = new GoldenRun("llama31_base", "llama31", 320, 2);
        var expected = whole.Run().AdapterSha256;
        using var run = new GoldenRun("llama31_base", "llama31", 320, 2);
        var devices = new List<FakeKernels>();
        run.Options = run.Options with { Loading = options => options with { Kernels = FakeKernels.WithSeed(seed, devices.Add) } };
        using var source = new CancellationTokenSource();
        run.OnEvent = record =>
        {
            if (record is StepDone { Step: 6 }) source.Cancel();
        };
        Assert.Throws<RunInterruptedException>(() => run.Run(source.Token));
        run.OnEvent = null;
        run.Options = run.Options with { Resume = "auto" };
        Assert.Equal(expected, run.Run().AdapterSha256);
        Assert.True(devices.Sum(device => device.Queued) > 3_000, "the run was not computed on the device");
    }

    private static FastEngine Engine(CausalModel model, int seed, Action<FakeKernels>? made = null) => new(model, kernels: FakeKernels.WithSeed(seed, made));
}
