using Trainer.Engine.Fast;
using Trainer.Engine.Fast.Cpu;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Libtorch;
using Trainer.Engine.Fast.Operations;
using Trainer.Models;
using Trainer.Models.Families;
using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Tests.Fast;

/// <summary>The state-space scan in chunks by hand against the recurrence token by token in float64, whose gradients are autograd's.</summary>
[Trait("ring", "model")]
public sealed unsafe class StateScanTests
{
    private static readonly Mamba2 Config = new() { Heads = 6, HeadSize = 10, Groups = 2, StateSize = 7, Taps = 4, LeastStep = 0.3, LargestStep = 1.4 };

    // Two chunks and a part of one, one exactly, a single token.
    private static readonly int[] Starts = [0, 150, 214, 215];

    [Theory, InlineData(EngineKind.Fast), InlineData(EngineKind.Libtorch)]
    public void Outputs_and_gradients_are_those_of_the_recurrence(EngineKind engine)
    {
        using var scope = NewDisposeScope();
        using var seed = new Generator(5);
        Tensor Random(double scale, params long[] shape) => randn(shape, dtype: ScalarType.Float32, generator: seed) * scale;
        // Steps lie in rows with other values before them.
        const long Stride = 9;
        Tensor mixed = Random(1, Starts[^1], Config.Channels), rows = Random(1, Starts[^1], Stride), decayLog = Random(0.5, Config.Heads),
            direct = Random(1, Config.Heads), shift = Random(0.5, Config.Heads), upper = Random(1, Starts[^1], Config.Inner);
        List<Tensor> leaves = [.. new[] { mixed, rows.narrow(1, Stride - Config.Heads, Config.Heads) }
            .Select(part => part.to(ScalarType.Float64).detach().requires_grad_(true))];
        var expected = cat([.. Enumerable.Range(0, 3).Select(s => Recurrence(leaves, [.. new[] { decayLog, direct, shift }
            .Select(part => part.to(ScalarType.Float64))], s))], 0);
        expected.backward([upper.to(ScalarType.Float64)]);
        // Some steps are cut off at either end, most are not.
        var cut = leaves[1].grad!.eq(0).sum().item<long>();
        Assert.InRange(cut, 20, Starts[^1] * Config.Heads / 2);

        var shape = new FastShape(ConfigLoader.Load(Models.Golden.Folder("llama31")));
        using IKernels kernels = engine == EngineKind.Fast
            ? new CpuKernels(shape, ComputeKind.Float32, new PanelPlan())
            : new TorchKernels(shape, ComputeKind.Float32, new PanelPlan(), "cpu", keepsWeights: false);
        var threads = get_num_threads();
        var layout = new PassLayout([new PassBuffer(BufferUse.Scratch, new(BufferId.StateScratch), threads * StateBlocks.Of(Config, 150).Scratch)], threads);
        using var block = kernels.Allocate(layout.Bytes);
        Place Of(Tensor tensor) => kernels.Of(tensor);
        var layer = new StateOperands(Config, Of(mixed), Of(rows) + (Stride - Config.Heads), Stride, Of(decayLog), Of(direct), Of(shift));
        Tensor output = empty_like(upper), mixedGradient = empty_like(mixed), step = empty(Starts[^1], Config.Heads, dtype: ScalarType.Float32);
        var room = new PassMemory(layout, block);
        kernels.StateScan(room, layer, Starts, default, Of(output));
        Close(expected, output, 3e-6);
        kernels.StateScanBackward(room, layer, Starts, Of(upper), Of(mixedGradient), Of(step));
        Close(leaves[0].grad!, mixedGradient, 1e-5);
        Close(leaves[1].grad!, step, 1e-5);

        // Continued from the state behind the first 70 tokens the rest is the same.
        var state = zeros(Config.Heads, Config.StateSize, Config.HeadSize);
        kernels.StateScan(room, layer, [0, 70], Of(state), Of(output));
        var rest = layer with { Mixed = layer.Mixed + 70 * Config.Channels, Step = layer.Step + 70 * Stride };
        kernels.StateScan(room, rest, [0, 80], Of(state), Of(output) + 70 * Config.Inner);
        Close(expected.narrow(0, 0, 150), output.narrow(0, 0, 150), 3e-6);
    }

    private static Tensor Recurrence(List<Tensor> leaves, Tensor[] constants, int segment)
    {
        var (start, count) = (Starts[segment], Starts[segment + 1] - Starts[segment]);
        Tensor Part(Tensor from) => from.narrow(0, start, count);
        var mixed = Part(leaves[0]);
        var step = nn.functional.softplus(Part(leaves[1]) + constants[2]).clamp(Config.LeastStep, Config.LargestStep);
        var group = Config.Heads / Config.Groups;
        Tensor Shared(long at) => mixed.narrow(1, at, Config.Groups * Config.StateSize).view(count, Config.Groups, Config.StateSize)
            .repeat_interleave(group, 1);
        var (value, write, read) = (mixed.narrow(1, 0, Config.Inner).view(count, Config.Heads, Config.HeadSize), Shared(Config.Inner),
            Shared(Config.Inner + Config.Groups * Config.StateSize));
        var state = zeros(Config.Heads, Config.HeadSize, Config.StateSize, dtype: ScalarType.Float64);
        var outputs = new List<Tensor>();
        for (var t = 0; t < count; t++)
        {
            var decay = (step[t] * constants[0].exp().neg()).exp().view(-1, 1, 1);
            state = state * decay + (value[t] * step[t].unsqueeze(1)).unsqueeze(2) * write[t].unsqueeze(1);
            outputs.Add(((state * read[t].unsqueeze(1)).sum(2) + constants[1].unsqueeze(1) * value[t]).reshape(1, -1));
        }
        return cat(outputs, 0);
    }

    private static void Close(Tensor expected, Tensor actual, double gate)
    {
        var largest = expected.abs().max().item<double>();
        Assert.InRange((expected - actual.to(ScalarType.Float64)).abs().max().item<double>() / largest, 0, gate);
    }
}
