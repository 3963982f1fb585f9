using System.Runtime.InteropServices;
using Trainer.Distributed;
using Trainer.Engine.Tests.Models;
using Trainer.Training;
using Trainer.Training.Optimizers;
using Trainer.Training.Steps;

namespace Trainer.Engine.Tests.Training;

/// <summary>Parameters on a device and in this process's memory: the same norm, the same steps, the same frozen elements.</summary>
[Trait("ring", "model")]
public sealed class DeviceParametersTests
{
    private static readonly (string, long[])[] Shapes = [("layer.lora_A.weight", [4, 33]), ("layer.lora_B.weight", [21, 4])];

    [Fact]
    public void Adamw_steps_on_the_device_and_its_moments_come_home_for_a_checkpoint()
    {
        using ParameterBuffer here = new(Shapes), there = new(Shapes);
        Fill(here);
        Fill(there);
        FrozenBlock[] frozen = [new(0, 7, 33, 4)];
        var host = new HostParameters(here.Entries, () => here.ValueSpan, () => here.GradientSpan, frozen);
        using var device = new DeviceParameters(() => there, frozen);
        var options = new TrainingOptions { Model = "", ModelDirectory = "", Data = new(), OutputDirectory = "", WeightDecay = 0.1, LearningRate = 0.01 };
        using IOptimizer first = OptimizerTable.Make(host, options), second = OptimizerTable.Make(device, options);
        var before = device.HostValues().ToArray();
        for (var step = 1; step <= 5; step++)
        {
            foreach (var (store, optimizer) in ((IParameterStore, IOptimizer)[])[(host, first), (device, second)])
            {
                store.SumGradients(new SingleProcess(), []);
                store.Step(optimizer, new OptimizerStep(step, 0.01, 0.5));
            }
            Assert.Equal(host.GradientNorm(), device.GradientNorm(), 1e-9);
            Assert.InRange(Golden.LargestDifference(host.HostValues().ToArray(), device.HostValues().ToArray()), 0, 1e-6);
            // A checkpoint between two steps sends the moments home and back.
            if (step % 2 == 0)
                Assert.All(first.State.Zip(second.State), pair => Assert.InRange(Golden.LargestDifference(Floats(pair.First), Floats(pair.Second)), 0, 1e-7));
        }
        Assert.Equal(before[..7], device.HostValues().ToArray()[..7]);
        Assert.NotEqual(before[7], device.HostValues().ToArray()[7]);
        Assert.True(device.AreValuesFinite());
        device.Write(3, new[] { float.NaN });
        Assert.False(device.AreValuesFinite());
        Assert.True(float.IsNaN(device.HostValues()[3]));
        device.ClearGradients();
        Assert.Equal(0, device.GradientNorm());
    }

    private static float[] Floats(StateTensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.Part(0, (int)tensor.ByteCount)).ToArray();

    private static void Fill(ParameterBuffer buffer)
    {
        var random = new Random(3);
        foreach (var entry in buffer.Entries)
        {
            foreach (ref var value in buffer.ValuesOf(entry)) value = random.NextSingle() - 0.5f;
            foreach (ref var gradient in buffer.GradientsOf(entry)) gradient = random.NextSingle() - 0.5f;
        }
    }
}
