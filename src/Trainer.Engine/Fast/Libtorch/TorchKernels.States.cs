using TorchSharp;
using Trainer.Engine.Fast.Operations;
using Trainer.Engine.Layers.Mamba;
using static TorchSharp.torch;

namespace Trainer.Engine.Fast.Libtorch;

// The scan as the reference engine has it, segment by segment; its gradient is autograd's, of one segment at a time.
internal sealed unsafe partial class TorchKernels
{
    public void StateScan(PassMemory room, StateOperands layer, int[] starts, Place state, Place output)
    {
        using var quiet = no_grad();
        var config = layer.Config;
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            using var scope = NewDisposeScope();
            var held = state.IsNone ? null : TensorMemory.View(state, [1, config.Heads, config.StateSize, config.HeadSize],
                [0, config.StateSize * config.HeadSize, config.HeadSize, 1]);
            var (result, last) = Scan(layer, Part(layer.Mixed, starts, s, config.Channels), Steps(layer, starts, s), held);
            Part(output, starts, s, config.Inner).copy_(result);
            held?.copy_(last);
        }
    }

    public void StateScanBackward(PassMemory room, StateOperands layer, int[] starts, Place gradient, Place dmixed, Place dstep)
    {
        using var grows = enable_grad();
        var config = layer.Config;
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            using var scope = NewDisposeScope();
            List<Tensor> leaves = [.. new[] { Part(layer.Mixed, starts, s, config.Channels), Steps(layer, starts, s) }
                .Select(part => part.detach().clone().requires_grad_(true))];
            Scan(layer, leaves[0], leaves[1], null).Output.backward([Part(gradient, starts, s, config.Inner)]);
            using var quiet = no_grad();
            Part(dmixed, starts, s, config.Channels).copy_(leaves[0].grad!);
            Part(dstep, starts, s, config.Heads).copy_(leaves[1].grad!);
        }
    }

    private static (Tensor Output, Tensor State) Scan(StateOperands layer, Tensor mixed, Tensor step, Tensor? state)
    {
        var heads = layer.Config.Heads;
        return Mamba2Scan.Of(layer.Config, mixed.unsqueeze(0), Mamba2Scan.Steps(layer.Config, step + Row(layer.Shift, heads)).unsqueeze(0),
            Row(layer.DecayLog, heads), Row(layer.Direct, heads), state) is var (output, last) ? (output.squeeze(0), last) : default;
    }

    private static Tensor Steps(StateOperands layer, int[] starts, int segment) => TensorMemory.View(layer.Step + starts[segment] * layer.StepStride,
        [starts[segment + 1] - starts[segment], layer.Config.Heads], [layer.StepStride, 1]);
}
