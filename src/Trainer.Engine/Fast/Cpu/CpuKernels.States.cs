using System.Runtime.InteropServices;
using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Native;
using Trainer.Numerics.Elementwise;

namespace Trainer.Engine.Fast.Cpu;

// A unit of work is one group of one segment with its heads, so gradients of B and C are added by one thread alone.
internal sealed unsafe partial class CpuKernels
{
    public void StateScan(PassMemory room, StateOperands layer, int[] starts, Place state, Place output)
    {
        var (config, blocks) = (layer.Config, StateBlocks.Of(layer.Config, Longest(starts)));
        float* scratch = Floats(room.Floats(BufferId.StateScratch)), held = Floats(state), to = Floats(output);
        var group = config.Heads / config.Groups;
        ComputeThreads.For(0, (starts.Length - 1L) * config.Groups, 1, (slot, begin, end) =>
        {
            var own = new StateHead(config, blocks, scratch + slot * blocks.Scratch);
            for (var unit = begin; unit < end; unit++)
            {
                var (segment, shared) = ((int)(unit / config.Groups), (int)(unit % config.Groups));
                for (var head = shared * group; head < (shared + 1) * group; head++)
                    own.Forward(Rows(layer, starts[segment], head), starts[segment + 1] - starts[segment],
                        to + (long)starts[segment] * config.Inner + (long)head * config.HeadSize, config.Inner,
                        held == null ? null : held + head * blocks.State);
            }
        });
    }

    public void StateScanBackward(PassMemory room, StateOperands layer, int[] starts, Place gradient, Place dmixed, Place dstep)
    {
        var (config, blocks) = (layer.Config, StateBlocks.Of(layer.Config, Longest(starts)));
        float* scratch = Floats(room.Floats(BufferId.StateScratch)), upper = Floats(gradient), mixed = Floats(dmixed), step = Floats(dstep);
        var group = config.Heads / config.Groups;
        ComputeThreads.For(0, (starts.Length - 1L) * config.Groups, 1, (slot, begin, end) =>
        {
            var own = new StateHead(config, blocks, scratch + slot * blocks.Scratch);
            for (var unit = begin; unit < end; unit++)
            {
                var (segment, shared) = ((int)(unit / config.Groups), (int)(unit % config.Groups));
                var (start, tokens) = (starts[segment], starts[segment + 1] - starts[segment]);
                for (var head = shared * group; head < (shared + 1) * group; head++)
                {
                    var target = new StateRows(config, mixed, step, config.Heads, start, head);
                    for (var t = 0; head == shared * group && t < tokens; t++)
                    {
                        NativeMemory.Clear(target.Write + t * target.Stride, (nuint)config.StateSize * sizeof(float));
                        NativeMemory.Clear(target.Read + t * target.Stride, (nuint)config.StateSize * sizeof(float));
                    }
                    own.Backward(Rows(layer, start, head), tokens, upper + (long)start * config.Inner + (long)head * config.HeadSize, config.Inner, target);
                }
            }
        });
    }

    private static StateRows Rows(StateOperands layer, int token, int head)
        => new(layer.Config, Floats(layer.Mixed), Floats(layer.Step), layer.StepStride, token, head)
    {
        Decay = -Exponential.Of(Floats(layer.DecayLog)[head]),
        Direct = Floats(layer.Direct)[head],
        Shift = Floats(layer.Shift)[head],
    };
}
