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

/// <summary>The gated delta rule in chunks by hand against the recurrence token by token in float64, whose gradients are autograd's.</summary>
[Trait("ring", "model")]
public sealed unsafe class DeltaRuleTests
{
    private static readonly GatedDelta Config = new() { KeyHeads = 2, ValueHeads = 4, KeySize = 16, ValueSize = 24, Taps = 4, HeadNorm = new NormConfig(1e-6) };

    // Two chunks and a part of one, one exactly, a single token.
    private static readonly int[] Starts = [0, 150, 214, 215];

    [Theory, InlineData(EngineKind.Fast), InlineData(EngineKind.Libtorch)]
    public void Outputs_and_gradients_are_those_of_the_recurrence(EngineKind engine)
    {
        using var scope = NewDisposeScope();
        using var seed = new Generator(5);
        Tensor Random(double scale, params long[] shape) => randn(shape, dtype: ScalarType.Float32, generator: seed) * scale;
        Tensor[] operands = [Random(1, Starts[^1], Config.Channels), Random(1.5, Starts[^1], Config.ValueHeads), Random(1, Starts[^1], Config.ValueHeads),
            Random(0.5, Config.ValueHeads) - 3, Random(0.5, Config.ValueHeads)];
        var upper = Random(1, Starts[^1], Config.ValueHeads * Config.ValueSize);
        var leaves = operands.Take(3).Select(part => part.to(ScalarType.Float64).requires_grad_(true)).ToList();
        var expected =
            cat([.. Enumerable.Range(0, 3).Select(s => Recurrence(leaves, operands[3].to(ScalarType.Float64), operands[4].to(ScalarType.Float64), s))], 0);
        expected.backward([upper.to(ScalarType.Float64)]);

        var shape = new FastShape(ConfigLoader.Load(Models.Golden.Folder("llama31")));
        IKernels kernels = engine == EngineKind.Fast
            ? new CpuKernels(shape, ComputeKind.Float32, new PanelPlan())
            : new TorchKernels(shape, ComputeKind.Float32, new PanelPlan(), "cpu", keepsWeights: false);
        var threads = get_num_threads();
        var layout = new PassLayout([new PassBuffer(BufferUse.Scratch, new(BufferId.DeltaScratch), threads * DeltaBlocks.Of(Config, 150).Scratch)], threads);
        using var block = kernels.Allocate(layout.Bytes);
        Place Of(Tensor tensor) => kernels.Of(tensor);
        var layer = new DeltaOperands(Config, Of(operands[0]), Of(operands[1]), Of(operands[2]), Of(operands[3]), Of(operands[4]));
        Tensor output = empty_like(upper), mixed = empty_like(operands[0]), strength = empty_like(operands[1]), step = empty_like(operands[2]);
        var room = new PassMemory(layout, block);
        kernels.DeltaRule(room, layer, Starts, default, Of(output));
        Close(expected, output, 3e-6);
        kernels.DeltaRuleBackward(room, layer, Starts, Of(upper), Of(mixed), Of(strength), Of(step));
        Close(leaves[0].grad!, mixed, 1e-5);
        Close(leaves[1].grad!, strength, 1e-5);
        Close(leaves[2].grad!, step, 1e-5);

        // Continued from the state behind the first 70 tokens the rest is the same.
        var state = zeros(Config.ValueHeads, Config.KeySize, Config.ValueSize);
        kernels.DeltaRule(room, layer, [0, 70], Of(state), Of(output));
        var rest = new DeltaOperands(Config, layer.Mixed + 70 * Config.Channels, layer.Strength + 70 * Config.ValueHeads, layer.Step + 70 * Config.ValueHeads,
            layer.DecayLog, layer.Shift);
        kernels.DeltaRule(room, rest, [0, 80], Of(state), Of(output) + 70 * Config.ValueHeads * Config.ValueSize);
        Close(expected.narrow(0, 0, 150), output.narrow(0, 0, 150), 3e-6);
    }

    private static Tensor Recurrence(List<Tensor> leaves, Tensor decayLog, Tensor shift, int segment)
    {
        var (start, count) = (Starts[segment], Starts[segment + 1] - Starts[segment]);
        Tensor Part(Tensor from) => from.narrow(0, start, count);
        var (mixed, strength, decay) = (Part(leaves[0]), Part(leaves[1]).sigmoid(),
            (decayLog.exp().neg() * nn.functional.softplus(Part(leaves[2]) + shift)).exp());
        var (keys, group) = (Config.KeyHeads * Config.KeySize, Config.ValueHeads / Config.KeyHeads);
        Tensor Unit(long at)
        {
            var heads = mixed.narrow(1, at, keys).view(count, Config.KeyHeads, Config.KeySize);
            return (heads / (heads.square().sum(-1, keepdim: true) + 1e-6).sqrt()).repeat_interleave(group, 1);
        }
        var (query, key, value) = (Unit(0) / Math.Sqrt(Config.KeySize), Unit(keys), mixed.narrow(1, 2 * keys, Config.ValueHeads * Config.ValueSize).view(count,
            Config.ValueHeads, Config.ValueSize));
        var state = zeros(Config.ValueHeads, Config.KeySize, Config.ValueSize, dtype: ScalarType.Float64);
        var outputs = new List<Tensor>();
        for (var t = 0; t < count; t++)
        {
            state = state * decay[t].view(-1, 1, 1);
            var k = key[t].unsqueeze(2);
            var change = (value[t] - (state * k).sum(1)) * strength[t].unsqueeze(1);
            state = state + k * change.unsqueeze(1);
            outputs.Add((state * query[t].unsqueeze(2)).sum(1).reshape(1, -1));
        }
        return cat(outputs, 0);
    }

    private static void Close(Tensor expected, Tensor actual, double gate)
    {
        var largest = expected.abs().max().item<double>();
        Assert.InRange((expected - actual.to(ScalarType.Float64)).abs().max().item<double>() / largest, 0, gate);
    }
}
