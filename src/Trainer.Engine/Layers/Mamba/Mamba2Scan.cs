using Trainer.Models.Parts;
using static TorchSharp.torch;

namespace Trainer.Engine.Layers.Mamba;

/// <summary>The scan of all heads of a state-space mixer over values, B and C that lie side by side.</summary>
internal static class Mamba2Scan
{
    /// <summary>Steps of time [.., heads] from shifted projections: softplus, within the mixer's bounds.</summary>
    public static Tensor Steps(Mamba2 config, Tensor shifted)
    {
        var step = nn.functional.softplus(shifted);
        return config.LeastStep > 0 || double.IsFinite(config.LargestStep) ? step.clamp(config.LeastStep, config.LargestStep) : step;
    }

    /// <summary>Outputs [count, length, inner] and the last state [count, heads, state size, head size].</summary>
    /// <param name="config">Heads and sizes.</param>
    /// <param name="mixed">[count, length, channels], activated.</param>
    /// <param name="step">[count, length, heads], see <see cref="Steps"/>.</param>
    /// <param name="decayLog">[heads].</param>
    /// <param name="direct">[heads].</param>
    /// <param name="state">State after earlier tokens, or null.</param>
    public static (Tensor Output, Tensor State) Of(Mamba2 config, Tensor mixed, Tensor step, Tensor decayLog, Tensor direct, Tensor? state)
    {
        long count = mixed.shape[0], length = mixed.shape[1], states = config.Groups * config.StateSize, group = config.Heads / config.Groups;
        var value = mixed.narrow(2, 0, config.Inner).reshape(count, length, config.Heads, config.HeadSize).transpose(1, 2);
        Tensor Shared(long start) => mixed.narrow(2, start, states).reshape(count, length, config.Groups, config.StateSize).repeat_interleave(group, 2)
            .transpose(1, 2);
        var (write, read) = (Shared(config.Inner), Shared(config.Inner + states));
        var steps = step.transpose(1, 2); // [count, heads, length]
        var decay = steps * decayLog.exp().neg().unsqueeze(-1);
        var (output, last) = StateScan.Apply(read, write, value * steps.unsqueeze(-1), decay, state);
        output = output + value * direct.view(1, -1, 1, 1);
        return (output.transpose(1, 2).reshape(count, length, config.Inner), last);
    }
}
