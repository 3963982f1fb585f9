using TorchSharp;
using Trainer.Engine.Fast.Operations;
using static TorchSharp.torch;
using Rule = Trainer.Engine.Layers.Delta.DeltaRule;

namespace Trainer.Engine.Fast.Libtorch;

// The rule as the reference engine has it, segment by segment; its gradient is autograd's, of one segment at a time.
internal sealed unsafe partial class TorchKernels
{
    public void DeltaRule(PassMemory room, DeltaOperands layer, int[] starts, Place state, Place output)
    {
        using var quiet = no_grad();
        var config = layer.Config;
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            using var scope = NewDisposeScope();
            var held = state.IsNone ? null : TensorMemory.View(state, [1, config.ValueHeads, config.KeySize, config.ValueSize],
                [0, config.KeySize * config.ValueSize, config.ValueSize, 1]);
            var (mixed, strength, step) = Segment(layer, starts, s);
            var (result, last) = Apply(layer, mixed, strength, step, held);
            Part(output, starts, s, (long)config.ValueHeads * config.ValueSize).copy_(result.squeeze(0));
            held?.copy_(last);
        }
    }

    public void DeltaRuleBackward(PassMemory room, DeltaOperands layer, int[] starts, Place gradient, Place dmixed, Place dstrength, Place dstep)
    {
        using var grows = enable_grad();
        var config = layer.Config;
        for (var s = 0; s + 1 < starts.Length; s++)
        {
            using var scope = NewDisposeScope();
            var (mixed, strength, step) = Segment(layer, starts, s);
            List<Tensor> leaves = [.. new[] { mixed, strength, step }.Select(part => part.detach().clone().requires_grad_(true))];
            var result = Apply(layer, leaves[0], leaves[1], leaves[2], null).Output;
            result.backward([Part(gradient, starts, s, (long)config.ValueHeads * config.ValueSize).unsqueeze(0)]);
            using var quiet = no_grad();
            Part(dmixed, starts, s, config.Channels).copy_(leaves[0].grad!);
            Part(dstrength, starts, s, config.ValueHeads).copy_(leaves[1].grad!);
            Part(dstep, starts, s, config.ValueHeads).copy_(leaves[2].grad!);
        }
    }

    private static (Tensor Output, Tensor State) Apply(DeltaOperands layer, Tensor mixed, Tensor strength, Tensor step, Tensor? state)
    {
        var decay = Row(layer.DecayLog, layer.Config.ValueHeads).exp().neg() * nn.functional.softplus(step + Row(layer.Shift, layer.Config.ValueHeads));
        return Rule.OfHeads(layer.Config, mixed.unsqueeze(0), strength.sigmoid().unsqueeze(0), decay.unsqueeze(0), state);
    }

    private static (Tensor Mixed, Tensor Strength, Tensor Step) Segment(DeltaOperands layer, int[] starts, int segment) =>
        (Part(layer.Mixed, starts, segment, layer.Config.Channels), Part(layer.Strength, starts, segment, layer.Config.ValueHeads), Part(layer.Step, starts,
        segment, layer.Config.ValueHeads));

    private static Tensor Part(Place place, int[] starts, int segment, long width)
        => Rows(place + starts[segment] * width, starts[segment + 1] - starts[segment], width);
}
