using System.Runtime.InteropServices;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

// A unit of work is one key head of one segment with its value heads, so gradients of queries and keys are added by one thread alone.
internal sealed unsafe partial class CpuKernels
{
    public void DeltaRule(PassMemory room, DeltaOperands layer, int[] starts, Place state, Place output)
    {
        var (config, blocks) = (layer.Config, DeltaBlocks.Of(layer.Config, Longest(starts)));
        float* scratch = Floats(room.Floats(BufferId.DeltaScratch)), held = Floats(state), to = Floats(output);
        var group = config.ValueHeads / config.KeyHeads;
        var wide = (long)config.ValueHeads * config.ValueSize;
        ComputeThreads.For(0, (starts.Length - 1L) * config.KeyHeads, 1, (slot, begin, end) =>
        {
            var own = new DeltaHead(blocks, scratch + slot * blocks.Scratch);
            for (var unit = begin; unit < end; unit++)
            {
                var (segment, key) = ((int)(unit / config.KeyHeads), (int)(unit % config.KeyHeads));
                for (var head = key * group; head < (key + 1) * group; head++)
                {
                    var target = to + starts[segment] * wide + (long)head * config.ValueSize;
                    own.Forward(Rows(layer, starts[segment], head), starts[segment + 1] - starts[segment], target, wide,
                        held == null ? null : held + head * blocks.State);
                }
            }
        });
    }

    public void DeltaRuleBackward(PassMemory room, DeltaOperands layer, int[] starts, Place gradient, Place dmixed, Place dstrength, Place dstep)
    {
        var (config, blocks) = (layer.Config, DeltaBlocks.Of(layer.Config, Longest(starts)));
        float* scratch = Floats(room.Floats(BufferId.DeltaScratch)), upper = Floats(gradient), mixed = Floats(dmixed), strength = Floats(dstrength),
            step = Floats(dstep);
        var group = config.ValueHeads / config.KeyHeads;
        var wide = (long)config.ValueHeads * config.ValueSize;
        ComputeThreads.For(0, (starts.Length - 1L) * config.KeyHeads, 1, (slot, begin, end) =>
        {
            var own = new DeltaHead(blocks, scratch + slot * blocks.Scratch);
            for (var unit = begin; unit < end; unit++)
            {
                var (segment, key) = ((int)(unit / config.KeyHeads), (int)(unit % config.KeyHeads));
                for (var head = key * group; head < (key + 1) * group; head++)
                {
                    var target = new DeltaRows(config, mixed, strength, step, starts[segment], head);
                    var tokens = starts[segment + 1] - starts[segment];
                    for (var t = 0; head == key * group && t < tokens; t++)
                    {
                        NativeMemory.Clear(target.Query + t * target.Stride, (nuint)config.KeySize * sizeof(float));
                        NativeMemory.Clear(target.Key + t * target.Stride, (nuint)config.KeySize * sizeof(float));
                    }
                    own.Backward(Rows(layer, starts[segment], head), tokens, upper + starts[segment] * wide + (long)head * config.ValueSize, wide, target);
                }
            }
        });
    }

    private static DeltaRows Rows(DeltaOperands layer, int token, int head)
        => new(layer.Config, Floats(layer.Mixed), Floats(layer.Strength), Floats(layer.Step), token, head)
    {
        Decay = -Exponential.Of(Floats(layer.DecayLog)[head]),
        Shift = Floats(layer.Shift)[head],
    };

    private static int Longest(int[] starts) => Enumerable.Range(0, starts.Length - 1).Max(s => starts[s + 1] - starts[s]);
}
