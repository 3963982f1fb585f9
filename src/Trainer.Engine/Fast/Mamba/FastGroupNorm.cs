using Trainer.Engine.Fast.Layout;
using Trainer.Engine.Fast.Operations;

namespace Trainer.Engine.Fast.Mamba;

/// <summary>A norm over groups of neighbouring columns, each by itself, with a weight over all of them.</summary>
internal sealed class FastGroupNorm(NormModule norm, int width, int groups, IKernels kernels, FastNorm norms)
{
    private readonly int _size = width / groups;

    /// <summary>y = norm(x) (T, width).</summary>
    public void Forward(FastPass pass, Place x, Place y)
    {
        long tokens = pass.Batch.Tokens;
        for (var group = 0; group < groups; group++)
        {
            var part = Taken(pass, BufferId.StateGroup, x, y, group);
            norms.Forward(norm, part.From, part.To, Inverse(pass, group), _size, tokens, group * _size);
            Give(pass, part.To, y, group);
        }
    }

    /// <summary>dx of x, whose norm was the last to be made, from dy; adds the weight's gradient. dx may be either.</summary>
    public void Backward(FastPass pass, Place x, Place dy, Place dx)
    {
        long tokens = pass.Batch.Tokens;
        for (var group = 0; group < groups; group++)
        {
            var (from, upper) = (Taken(pass, BufferId.StateGroup, x, dx, group).From, Taken(pass, BufferId.StateGroupGradient, dy, dx, group));
            norms.Backward(norm, from, Inverse(pass, group), upper.From, default, upper.To, _size, tokens, group * _size);
            Give(pass, upper.To, dx, group);
        }
    }

    private static Place Inverse(FastPass pass, int group) => pass.Memory.Floats(BufferId.StateInverse) + group * (long)pass.Batch.Tokens;

    // A group's columns in a room of their own, where the result goes too; all columns where there is one group.
    private (Place From, Place To) Taken(FastPass pass, BufferId room, Place all, Place result, int group)
    {
        if (groups == 1) return (all, result);
        var own = pass.Memory.Floats(room);
        kernels.Copy(all + group * _size, width, own, _size, _size, pass.Batch.Tokens);
        return (own, own);
    }

    private void Give(FastPass pass, Place part, Place all, int group)
    {
        if (groups > 1) kernels.Copy(part, _size, all + group * _size, width, _size, pass.Batch.Tokens);
    }
}
